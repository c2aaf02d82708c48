"""Corrected Dask backend of joblib, imported only where Dask is used."""

from __future__ import annotations

import asyncio
from typing import Any

from joblib._dask import DaskDistributedBackend


class DaskBackend(DaskDistributedBackend):
    """Backend that raises the error of a task that Dask gives up.

    joblib 1.6 waits for ever for such a task. Dask gives it up when its worker died too often, or
    cannot import this package.
    """

    async def _collect(self) -> None:
        while self._continue:
            async for future, result in self.waiting_futures:
                outcome, called = self._results.pop(future), self._callbacks.pop(future)
                if future.status == "error":
                    result = result[1]  # of type, error, traceback
                    outcome.set_exception(result)
                else:
                    outcome.set_result(result)
                called(result)
            await asyncio.sleep(0.01)

    def retrieve_result_callback(self, out: Any) -> Any:
        """Return the result of a task, or raise the error that ended it."""
        if isinstance(out, BaseException):
            raise out
        return super().retrieve_result_callback(out)
