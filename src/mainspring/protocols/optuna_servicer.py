"""Optuna's own gRPC servicer over our storage, with the one call that grows with a study made to grow with its news."""

from __future__ import annotations

from typing import Any

import grpc
from optuna.storages import BaseStorage
from optuna.storages._grpc.auto_generated import api_pb2, api_pb2_grpc
from optuna.storages._grpc.servicer import OptunaStorageProxyService, _to_proto_trial

from mainspring.kernel.errors import InvalidInput, MainspringError
from mainspring.tuning.storage_view import SHIFT

__all__ = ["OptunaServicer", "add_servicer"]

_NUMBER = (1 << SHIFT) - 1


class OptunaServicer(OptunaStorageProxyService):
    """Answers `GrpcStorageProxy`."""

    def GetTrials(self, request: Any, context: Any) -> Any:  # noqa: N802 -- the name in the protocol
        """The trials that a client does not have yet, found by their numbers and not by looking at all."""
        try:
            trials = self._backend.get_all_trials(request.study_id, deepcopy=False)
        except KeyError as error:
            context.abort(code=grpc.StatusCode.NOT_FOUND, details=str(error))
        after = request.trial_id_greater_than
        first = (after & _NUMBER) + 1 if after >= 0 else 0
        open_before = sorted({each & _NUMBER for each in request.included_trial_ids if each & _NUMBER < first})
        news = [*(trials[each] for each in open_before if each < len(trials)), *trials[first:]]
        return api_pb2.GetTrialsReply(trials=[_to_proto_trial(each) for each in news])

    def SetTrialParameter(self, request: Any, context: Any) -> Any:  # noqa: N802 -- the name in the protocol
        """Refusals of the store are the client's `ValueError`."""
        try:
            return super().SetTrialParameter(request, context)
        except InvalidInput as error:
            context.abort(code=grpc.StatusCode.INVALID_ARGUMENT, details=error.message)

    def CreateNewStudy(self, request: Any, context: Any) -> Any:  # noqa: N802 -- the name in the protocol
        """A name that cannot be is said to be so."""
        try:
            return super().CreateNewStudy(request, context)
        except MainspringError as error:
            context.abort(code=grpc.StatusCode.INVALID_ARGUMENT, details=error.message)


def add_servicer(storage: BaseStorage, server: grpc.Server) -> None:
    """Let a gRPC server answer from a storage."""
    add: Any = api_pb2_grpc.add_StorageServiceServicer_to_server  # generated, without types
    add(OptunaServicer(storage), server)
