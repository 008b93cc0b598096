from zato_lite.zato.bunch import Bunch as Bunch
from zato_lite.zato.bunch import bunchify as bunchify
from zato_lite.zato.bunch import unbunchify as unbunchify
