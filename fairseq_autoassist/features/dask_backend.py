"""joblib's Dask backend, mended: imported only where Dask is used."""

from __future__ import annotations

import asyncio
from typing import Any

from joblib._dask import DaskDistributedBackend


class DaskBackend(DaskDistributedBackend):
    """joblib's own never hears of a task that Dask itself gives up (its worker died too often, or
    cannot import this package), and waits for ever (joblib 1.6).
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
        """The result of a task, or raise what ended it."""
        if isinstance(out, BaseException):
            raise out
        return super().retrieve_result_callback(out)
