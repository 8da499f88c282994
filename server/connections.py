"""Connections: those are cut that do not send a request's head in time, or do not take answers."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

# How long a client may take to send the head of a request, and to begin with the first.
HEAD_SECONDS = 15.0
# How long a client may take nothing at all of an answer that waits to be sent.
STALL_SECONDS = 15.0


class TimedProtocol(H11Protocol):
    """HTTP/1.1 by h11, which bounds the length of a head, with a bound on its time as well.

    Without it, connections that send a byte now and then, or none, would stay for ever. Between
    requests, when nothing of the next one has come, the time is uvicorn's ``timeout_keep_alive``.

    A connection that is closed stays until all of its answers are taken; here, until nothing more
    is taken of them for a while.
    """

    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Starts to wait for the first head."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Takes what has come; while a request is answered, nothing is waited for."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._wait_for_head()
        else:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Waits for what has begun to come: the next head, or the rest of a body."""
        super().on_response_complete()
        begins = self.conn.their_state is self.conn.our_state  # else a body is still coming
        idle = begins and not self.conn.trailing_data[0]
        if (self.cycle is None or self.cycle.response_complete) and not idle:
            self._wait_for_head()
        self._watch_sending()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops to wait."""
        super().connection_lost(exc)
        self._stop_waiting()
        self._stop_watching()

    def _wait_for_head(self) -> None:
        if self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _watch_sending(self) -> None:
        """Looks again later whether any of what waits to be sent now was taken."""
        self._stop_watching()
        if unsent := self.transport.get_write_buffer_size():
            self._stall_timer = self.loop.call_later(STALL_SECONDS, self._check_sending, unsent)

    def _check_sending(self, before: int) -> None:
        if self.transport.get_write_buffer_size() >= before:
            self.transport.abort()
        else:
            self._watch_sending()

    def _stop_watching(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
