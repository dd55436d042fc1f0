"""Words that lessons say besides the calculus: devices, samplers, hooks, parameters in a list."""

import copy
import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn.parameter import Parameter, ParameterDict, ParameterList
from minigrad.utils import data


# --- devices -------------------------------------------------------------------------------------

def test_the_device_lines_of_lessons_choose_the_cpu():
    assert ("cuda" if mg.cuda.is_available() else "cpu") == "cpu"
    assert not mg.backends.mps.is_available() and not mg.accelerator.is_available()
    assert mg.cuda.device_count() == 0 and mg.device("cpu").type == "cpu"
    mg.cuda.manual_seed_all(0)
    mg.backends.cudnn.deterministic, mg.backends.cudnn.benchmark = True, False
    mg.use_deterministic_algorithms(True)
    mg.set_float32_matmul_precision("high")
    mg.set_default_device("cpu")
    assert mg.zeros(2).is_cuda is False and mg.get_num_threads() >= 1


@pytest.mark.parametrize("call", [
    lambda: mg.zeros(2).cuda(), lambda: nn.Linear(1, 1).cuda(), mg.cuda.current_device,
    lambda: mg.set_default_device("cuda:0"), lambda: mg.load("none.pt", map_location="cuda")])
def test_a_device_that_is_not_there_is_refused(call):
    with pytest.raises(RuntimeError, match="computes on the CPU.*cuda"):
        call()


def test_the_number_of_threads_can_be_set():
    before = mg.get_num_threads()
    mg.set_num_threads(1)
    assert mg.get_num_threads() == 1
    mg.set_num_threads(before)
    with pytest.raises(RuntimeError, match="positive integer, got 0"):
        mg.set_num_threads(0)


# --- loading data --------------------------------------------------------------------------------

def numbers(n=10):
    return data.TensorDataset(mg.arange(n))


def taken(loader):
    return [i for (batch,) in loader for i in batch.tolist()]


def test_samplers_decide_the_order():
    dataset = numbers()
    assert taken(data.DataLoader(dataset, 3, sampler=[5, 1, 1])) == [5, 1, 1]
    assert list(data.SequentialSampler(dataset)) == list(range(10))
    mg.manual_seed(0)
    first = list(data.RandomSampler(dataset))
    mg.manual_seed(0)
    assert taken(data.DataLoader(dataset, 4, shuffle=True)) == first != sorted(first)
    assert sorted(first) == list(range(10))
    more = list(data.RandomSampler(dataset, num_samples=25))
    assert sorted(more[:10]) == sorted(more[10:20]) == list(range(10)) and len(more) == 25
    drawn = data.RandomSampler(dataset, replacement=True, num_samples=50)
    assert len(list(drawn)) == len(drawn) == 50 and set(drawn) <= set(range(10))
    assert sorted(data.SubsetRandomSampler([3, 7, 9])) == [3, 7, 9]
    weighted = list(data.WeightedRandomSampler([0.0, 1.0, 3.0], 400))
    assert weighted.count(0) == 0 and 2 < weighted.count(2) / weighted.count(1) < 4.5
    assert sorted(data.WeightedRandomSampler(mg.tensor([1.0, 2.0]), 2, replacement=False)) == [0, 1]


def test_batch_samplers_decide_the_batches():
    batches = data.BatchSampler(range(7), 3)
    assert list(batches) == [[0, 1, 2], [3, 4, 5], [6]] and len(batches) == 3
    assert list(data.BatchSampler(range(7), 3, drop_last=True)) == [[0, 1, 2], [3, 4, 5]]
    loader = data.DataLoader(numbers(), batch_sampler=[[1, 2], [9]])
    assert [b[0].tolist() for b in loader] == [[1, 2], [9]] and len(loader) == 2


def test_without_batches_single_samples_come():
    loader = data.DataLoader([(np.arange(2), 3, "a")], batch_size=None)
    ((x, y, name),) = loader
    assert type(x) is mg.Tensor and x.tolist() == [0, 1] and (y, name) == (3, "a")
    assert len(data.DataLoader(numbers(4), batch_size=None)) == 4


def test_the_options_for_loading_from_disk_change_nothing():
    loader = data.DataLoader(numbers(), 5, num_workers=2, pin_memory=True, persistent_workers=True,
                             timeout=1, worker_init_fn=print, prefetch_factor=2)
    assert taken(loader) == list(range(10)) and loader.num_workers == 2


def test_datasets_one_after_the_other():
    both = numbers(3) + numbers(2)
    assert isinstance(both, data.ConcatDataset) and len(both) == 5
    assert [both[i][0].item() for i in (0, 2, 3, 4, -1)] == [0, 2, 0, 1, 1]
    with pytest.raises(IndexError, match="index 5 is out of range"):
        both[5]


@pytest.mark.parametrize("call, error, message", [
    (lambda: data.DataLoader(numbers(), shuffle=True, sampler=[0]), ValueError, "exclusive"),
    (lambda: data.DataLoader(numbers(), 2, batch_sampler=[[0]]), ValueError, "exclusive"),
    (lambda: data.DataLoader(numbers(), None, drop_last=True), ValueError, "exclusive"),
    (lambda: data.DataLoader(numbers(), num_workers=-1), ValueError, "non-negative, got -1"),
    (lambda: data.RandomSampler(numbers(), num_samples=0), ValueError, "num_samples=0"),
    (lambda: data.WeightedRandomSampler([0.0, 0.0], 1), ValueError, "not all 0"),
    (lambda: data.WeightedRandomSampler([1.0, -1.0], 1), ValueError, "at least 0"),
    (lambda: data.WeightedRandomSampler([1.0, 0.0], 2, False), ValueError, "cannot draw 2"),
    (lambda: data.ConcatDataset([]), ValueError, "at least one dataset"),
    (lambda: iter(data.Sampler()), NotImplementedError, "without __iter__"),
])
def test_misuse_of_loaders_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- modules -------------------------------------------------------------------------------------

def test_hooks_see_and_replace_inputs_and_outputs():
    layer, seen = nn.Linear(2, 1), []
    x = mg.ones(1, 2)
    plain = layer(x).item()
    with layer.register_forward_hook(lambda m, i, o: seen.append((m, i[0] is x, o.item()))):
        layer(x)
    layer(x)
    assert seen == [(layer, True, plain)]
    first = layer.register_forward_pre_hook(lambda module, inputs: inputs[0] * 0)
    second = layer.register_forward_hook(lambda module, inputs, output: output - layer.bias)
    assert layer(x).item() == 0.0
    first.remove()
    second.remove()
    second.remove()
    assert layer(x).item() == plain
    named = layer.register_forward_pre_hook(lambda m, i, k: ((k["input"] + 1,), {}),
                                            with_kwargs=True)
    assert layer(input=x - 1).item() == plain
    named.remove()


def test_parameters_in_a_list_are_the_modules_own():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.scales = ParameterList([mg.ones(1), Parameter(mg.ones(2, 3))])
            self.named = ParameterDict({"a": mg.zeros(2)})

    net = Net()
    assert list(net.state_dict()) == ["scales.0", "scales.1", "named.a"]
    assert [p.name for p in net.parameters()] == ["scales.0", "scales.1", "named.a"]
    net.scales.append(mg.ones(()))
    net.scales[0] = Parameter(mg.zeros(1))
    assert len(net.scales) == 3 and net.scales[-1].shape == () and net.scales[0].item() == 0
    assert [p.ndim for p in net.scales[1:]] == [2, 0] and all(p.requires_grad for p in net.scales)
    assert "a" in net.named and list(net.named.keys()) == ["a"] == list(net.named)
    del net.named["a"]
    assert len(net.named) == 0 and repr(net.named) == "ParameterDict()"
    assert repr(net.scales).splitlines()[2] == (
        "    (1): Parameter containing: [float64 of size 2x3]")
    with pytest.raises(TypeError, match="holds Parameters, got float"):
        net.scales.append(1.0)
    with pytest.raises(IndexError, match="index 3 is out of range"):
        net.scales[3]


def test_a_copied_parameter_has_no_gradient_and_a_copied_tensor_has():
    w, t = Parameter(mg.ones(2)), mg.ones(2, requires_grad=True)
    (w * t).sum().backward()
    assert copy.deepcopy(w).grad is None and copy.deepcopy(t).grad.tolist() == [1, 1]
    assert w.grad is not None


def test_all_parameters_as_one_vector_and_back():
    layer = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(layer.parameters())
    assert vector.shape == (9,) and vector.requires_grad
    nn.utils.vector_to_parameters(mg.arange(9.0), layer.parameters())
    assert layer.weight.tolist() == [[0, 1], [2, 3], [4, 5]] and layer.bias.tolist() == [6, 7, 8]
    with pytest.raises(ValueError, match=r"shape \(9,\)"):
        nn.utils.vector_to_parameters(mg.arange(8.0), layer.parameters())


def test_orthogonal_and_truncated_initial_values():
    for shape in ((3, 5), (5, 3), (4, 2, 3)):
        w = nn.init.orthogonal_(mg.empty(*shape), gain=2).numpy().reshape(shape[0], -1)
        product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
        assert np.allclose(product, 4 * np.eye(min(w.shape)))
    values = nn.init.trunc_normal_(mg.empty(4000), mean=1.0, std=2.0, a=0.0, b=2.0).numpy()
    assert values.min() >= 0 and values.max() <= 2 and abs(values.mean() - 1) < 0.05
    sparse = nn.init.sparse_(mg.empty(10, 4), sparsity=0.25).numpy()
    assert ((sparse == 0).sum(0) == math.ceil(2.5)).all()
    with pytest.raises(ValueError, match="a < b"):
        nn.init.trunc_normal_(mg.empty(2), a=1.0, b=0.0)


# --- tensors -------------------------------------------------------------------------------------

def test_single_numbers_format_as_numbers_and_nothing_else_does():
    loss = mg.tensor(2.5, requires_grad=True)
    assert (f"{loss}", f"{loss:.3f}", f"{mg.tensor(3):>4d}") == ("2.5", "2.500", "   3")
    assert f"{mg.tensor([1.0])}" == "tensor([1.])"
    with pytest.raises(TypeError, match="unsupported format string '.2f'.*item"):
        f"{mg.tensor([1.0]):.2f}"


def test_none_is_not_equal_to_a_tensor():
    assert (mg.ones(2) == None) is False and (mg.ones(2) != None) is True  # noqa: E711
    assert mg.ones(2).type(mg.LongTensor).dtype == mg.int64
