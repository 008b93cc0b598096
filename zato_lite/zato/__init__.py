"""Zato's vocabulary: its modules, its base class, and its ways to declare input and output."""

from zato_lite.service.typed import register_kind
from zato_lite.zato.declarations import zato_kind

register_kind(zato_kind)
