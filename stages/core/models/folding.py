"""A copy of a network for searching with: the same function in eval mode, in fewer and cheaper operations.

Batch norm is folded into the convolution before it, sums and rectifiers work in place, weights lie channels-last and
ask for no gradient. Logits differ from the model's by rounding, so a search may use the copy and a verdict may not.
"""

import copy
import operator
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_conv_bn_weights

from stages.core.errors import ConfigError
from stages.core.job.progress import log_line

M = TypeVar("M", bound=nn.Module)
_RECTIFIERS: set[object] = {F.relu, torch.relu, "relu"}
_SUMS: set[object] = {operator.add, torch.add, "add"}
_ADDED: set[object] = _SUMS | {"add_"}
COMPARED = 8
TOLERANCE = 1e-2


class SearchCopy:
    """A model's copy to search with, `network`: images (B, C, H, W) float32 -> logits (B, K) float32.

    images: some on the model's device; on the first COMPARED of them the folded copy must give the model's logits, to
    TOLERANCE of the largest. A copy that does not (tracing keeps what the model draws or decides meanwhile), and a
    model that torch.fx cannot trace, are not folded.
    dtype: bfloat16 computes in that precision what lies between the first convolution and the last; the pixels, which
    it cannot tell apart, and the logits stay float32. ConfigError if it is asked for and the model does not do it.
    """

    network: nn.Module

    def __init__(self, model: nn.Module, images: Tensor, dtype: torch.dtype = torch.float32) -> None:
        self._model = model
        self._norms: dict[str, str] = {}
        own = copy.deepcopy(model).eval().requires_grad_(False)
        try:
            traced = fx.symbolic_trace(copy.deepcopy(own))
            norms = _fold_batch_norm(traced)
            _add_in_place(traced)
            _rectify_in_place(traced)
            traced.delete_all_unused_submodules()
            traced.recompile()
            traced.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            _require_its_logits(own, traced, images[:COMPARED])
            if dtype != torch.float32:
                _narrow(traced, dtype)
                traced.recompile()
                traced(images[:COMPARED])
        except Exception as error:  # whatever the model's own code raises where it meets a proxy
            if dtype != torch.float32:
                raise ConfigError(f"{dtype} cannot be had of this model ({error}); use float32") from error
            log_line(f"the model is searched without folding: {error}")
            self.network = own
            return
        self.network, self._norms = traced, norms

    @torch.no_grad()
    def follow(self) -> nn.Module:
        """The network, with the model's weights and statistics of this moment; waits for no device."""
        tensors = {**dict(self.network.named_parameters()), **dict(self.network.named_buffers())}
        for convolution, norm in self._norms.items():
            for name, value in _fused(self._model, convolution, norm).items():
                tensors.pop(f"{convolution}.{name}").copy_(value)
        theirs = {**dict(self._model.named_parameters()), **dict(self._model.named_buffers())}
        for name in tensors.keys() & theirs.keys():  # what tracing itself put there is constant
            tensors[name].copy_(theirs[name])
        return self.network


def folded(model: nn.Module, images: Tensor, dtype: torch.dtype = torch.float32) -> nn.Module:
    """The network of a `SearchCopy` of a model that stays as it is."""
    return SearchCopy(model, images, dtype).network


def _fused(model: nn.Module, convolution: str, norm: str) -> dict[str, Tensor]:
    """Weight and bias of a convolution that does its batch norm too."""
    before: Any = model.get_submodule(convolution)
    after: Any = model.get_submodule(norm)
    weight, bias = fuse_conv_bn_weights(
        before.weight, before.bias, after.running_mean, after.running_var, after.eps, after.weight, after.bias
    )
    return {"weight": weight, "bias": bias}


def _require_its_logits(model: nn.Module, traced: nn.Module, images: Tensor) -> None:
    with torch.no_grad():
        logits = model(images)
        apart = float((traced(images) - logits).abs().max() / logits.abs().max())
    if not apart <= TOLERANCE:
        raise ArithmeticError(f"its traced copy's logits are {apart:.2g} of the largest away")


def _modules(traced: fx.GraphModule, kind: type[M]) -> dict[fx.Node, M]:
    """The graph's calls of modules of a kind, in order, but for modules that are called more than once."""
    calls = [node for node in traced.graph.nodes if node.op == "call_module"]
    targets = [str(node.target) for node in calls]
    once = {node: traced.get_submodule(str(node.target)) for node in calls if targets.count(str(node.target)) == 1}
    return {node: module for node, module in once.items() if isinstance(module, kind)}


def _before(node: fx.Node) -> fx.Node | None:
    """The node whose output a node takes first, if no other takes it."""
    before = node.args[0] if node.args else None
    return before if isinstance(before, fx.Node) and len(before.users) == 1 else None


def _fold_batch_norm(traced: fx.GraphModule) -> dict[str, str]:
    """Let each convolution do the batch norm that alone reads it; the names of those convolutions and norms."""
    convolutions, names = _modules(traced, nn.Conv2d), {}
    for node, norm in _modules(traced, nn.BatchNorm2d).items():
        before = _before(node)
        if before in convolutions and norm.running_mean is not None:
            traced.set_submodule(str(before.target), fuse_conv_bn_eval(convolutions[before], norm))
            node.replace_all_uses_with(before)
            traced.graph.erase_node(node)
            names[str(before.target)] = str(node.target)
    return names


def _add_in_place(traced: fx.GraphModule) -> None:
    """Let a sum overwrite the output of a convolution that it alone reads; a constant would be cast to it."""
    convolutions = _modules(traced, nn.Conv2d)
    for node in [node for node in traced.graph.nodes if _calls(node, _SUMS) and not node.kwargs]:
        for own, other in (node.args, node.args[::-1]):
            if own in convolutions and len(own.users) == 1 and own is not other and other.op != "get_attr":
                with traced.graph.inserting_after(node):
                    inplace = traced.graph.call_method("add_", (own, other))
                node.replace_all_uses_with(inplace)
                traced.graph.erase_node(node)
                break


def _rectify_in_place(traced: fx.GraphModule) -> None:
    """Let a rectifier overwrite the output of a convolution or a sum that alone it reads; no gradient needs that."""
    convolutions, modules = _modules(traced, nn.Conv2d), _modules(traced, nn.ReLU)
    for node in list(traced.graph.nodes):
        before = _before(node)
        if before is None or not (node in modules or _calls(node, _RECTIFIERS)):
            continue
        if before in convolutions or _calls(before, _ADDED):
            with traced.graph.inserting_after(node):
                inplace = traced.graph.call_function(F.relu, (before,), {"inplace": True})
            node.replace_all_uses_with(inplace)
            traced.graph.erase_node(node)


def _calls(node: fx.Node, functions: set[object]) -> bool:
    return node.op in ("call_function", "call_method") and node.target in functions


def _narrow(traced: fx.GraphModule, dtype: torch.dtype) -> None:
    """Compute in `dtype` from the first convolution's output to the last one's."""
    nodes = list(traced.graph.nodes)
    convolutions = list(_modules(traced, nn.Conv2d))
    if len(convolutions) < 2:
        raise ArithmeticError("between its first and its last convolution lies nothing")
    first, last = convolutions[0], convolutions[-1]
    for node in nodes[nodes.index(first) + 1 : nodes.index(last) + 1]:
        if node.op == "call_module":
            traced.get_submodule(str(node.target)).to(dtype)
    _cast(traced, first, dtype)
    _cast(traced, last, torch.float32)


def _cast(traced: fx.GraphModule, node: fx.Node, dtype: torch.dtype) -> None:
    with traced.graph.inserting_after(node):
        cast = traced.graph.call_method("to", (node, dtype))
    node.replace_all_uses_with(cast, delete_user_cb=lambda user: user is not cast)
