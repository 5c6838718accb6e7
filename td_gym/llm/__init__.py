"""Language models on a server: who may be asked, how, and what it costs.

Any endpoint that speaks OpenAI's chat protocol will do.  Needs the extra ``llm``.
"""

from td_gym.llm.client import Client, RefusedError, ServerError
from td_gym.llm.endpoint import KEY_VARIABLE, Endpoint
from td_gym.llm.messages import Completion, Request, ToolCall
from td_gym.llm.models import Models
from td_gym.llm.settings import Settings
from td_gym.llm.tape import Tape

__all__ = [
    "KEY_VARIABLE",
    "Client",
    "Completion",
    "Endpoint",
    "Models",
    "RefusedError",
    "Request",
    "ServerError",
    "Settings",
    "Tape",
    "ToolCall",
]
