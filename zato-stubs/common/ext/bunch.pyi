from zato_lite.service.bunch import Bunch as Bunch
from zato_lite.service.bunch import as_bunch

bunchify = as_bunch
