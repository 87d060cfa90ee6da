"""Products by oneDNN: the same numbers, and only where they are used."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from oneshot.model import products
from oneshot.model.logprobs import logprob_and_entropy
from oneshot.model.machine import cpu_vendor
from oneshot.rollout import linear


def test_the_vendor_is_what_the_kernel_says(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    assert cpu_vendor(tmp_path) == ""
    (tmp_path / "proc/cpuinfo").write_text(
        "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: x\n\nvendor_id\t: y\n"
    )
    assert cpu_vendor(tmp_path) == "AuthenticAMD"


def test_only_float32_on_an_amd_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    for amd in (True, False):
        monkeypatch.setattr(products, "_amd", lambda amd=amd: amd)
        assert products.onednn(torch.zeros(1)) is amd
        assert not products.onednn(torch.zeros(1, dtype=torch.float64))
        assert not products.onednn(torch.zeros(1, dtype=torch.bfloat16))


@pytest.mark.skipif(not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch has no oneDNN")
@pytest.mark.parametrize("rows", [1, 16, 33])
def test_the_product_is_the_same(rows: int) -> None:
    draw = torch.Generator().manual_seed(rows)
    x_RK, weight_VK = torch.randn(rows, 24, generator=draw), torch.randn(700, 24, generator=draw)
    torch.testing.assert_close(products.by_onednn(x_RK, weight_VK), x_RK @ weight_VK.T)
    some = products.by_onednn(x_RK[:16], weight_VK)
    assert rows < 16 or torch.equal(products.by_onednn(x_RK, weight_VK)[:16], some), "rows round alike from 16 on"


def test_a_matrix_that_is_marked_keeps_its_plain_product(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(x_RK: torch.Tensor, weight_VK: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(x_RK), len(weight_VK))

    monkeypatch.setattr(products, "_amd", lambda: True)
    monkeypatch.setattr(linear, "by_onednn", wrong)
    layer, x_RK = torch.nn.Linear(3, 5, bias=False), torch.ones(16, 3)
    with torch.no_grad():
        assert not linear.logits(x_RK, layer.weight).any()
        linear.never_turned(layer)
        assert torch.equal(linear.logits(x_RK, layer.weight), x_RK @ layer.weight.T)


@pytest.mark.skipif(not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch has no oneDNN")
def test_log_probs_and_gradients_do_not_depend_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = torch.Generator().manual_seed(0)
    hidden_NH, weight_VH = torch.randn(300, 16, generator=draw), torch.randn(400, 16, generator=draw)
    target_N, sides = torch.randint(400, (300,), generator=draw), []
    for amd in (True, False):
        monkeypatch.setattr(products, "_amd", lambda amd=amd: amd)
        leaves = [hidden_NH.clone().requires_grad_(), weight_VH.clone().requires_grad_()]
        values = logprob_and_entropy(*leaves, target_N, 0.7)
        loss = values[0].sum() + 0.3 * values[1].square().sum()
        sides.append([*(v.detach() for v in values), *torch.autograd.grad(loss, leaves)])
    for one, other in zip(*sides, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
