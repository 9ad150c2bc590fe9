"""A family that answers: each request read, given to the variant that is chosen for it, and learned from."""

import asyncio
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from runtime.documents.manifest import Manifest
from runtime.engines.protocol import Prompt
from runtime.errors import TrimoeError
from runtime.selection.choice import Choice
from runtime.serving.answer import Answer
from runtime.serving.batching.limits import Limits
from runtime.serving.batching.listener import Finish, Listener
from runtime.serving.batching.queue_state import QueueState
from runtime.serving.batching.scheduler import Ticket
from runtime.serving.chooser import Chooser, Plan
from runtime.serving.decisions.journal import Entry, Journal
from runtime.serving.going import GoingRequest
from runtime.serving.request import Request, Sampling
from runtime.serving.stream import AsyncStream, Event, Sink, Stream, Whole
from runtime.serving.work import Ahead
