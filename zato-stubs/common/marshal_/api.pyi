from zato_lite.service.model import Model as Model
