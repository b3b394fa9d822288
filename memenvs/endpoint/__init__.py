"""Models behind OpenAI-compatible servers: asked patiently, once per request, with every failure typed and counted.

* `ChatSettings`, `chat_settings` - where, which model, limits, prices, cache.
* `ChatEndpoint` - conversations in, `Reply` or `Failure` out.
* `ReplyCache` - replies in a file that processes share.
* `Usage` - requests, tokens, cost.
* `EndpointError` - nobody could be asked at all.
"""

from memenvs.endpoint.cache import ReplyCache
from memenvs.endpoint.chat import ChatEndpoint
from memenvs.endpoint.replies import KINDS, EndpointError, Failure, Message, Reply, request_key
from memenvs.endpoint.settings import ChatSettings, chat_settings
from memenvs.endpoint.usage import Usage

__all__ = [
    "KINDS",
    "ChatEndpoint",
    "ChatSettings",
    "EndpointError",
    "Failure",
    "Message",
    "Reply",
    "ReplyCache",
    "Usage",
    "chat_settings",
    "request_key",
]
