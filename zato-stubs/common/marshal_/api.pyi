from zato_lite.zato.model import Model as Model
