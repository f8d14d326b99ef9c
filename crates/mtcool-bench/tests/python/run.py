"""Other programs for the tests.

run.py has MODULE ...            exit status 0 if all modules can be imported
run.py onnx FOLDER               each NAME.onnx on NAME.in.npz by onnxruntime: outputs in NAME.out.npz, metadata in NAME.json
run.py pytorch FOLDER PAGE       each NAME.safetensors likewise, by the module in the page's block of Python that has a class
run.py events FOLDER             what TensorBoard finds in the folder's event files, as JSON
"""

import importlib
import json
import math
import pathlib
import re
import sys

sys.dont_write_bytecode = True


def files(folder, extension):
    import numpy

    for path in sorted(pathlib.Path(folder).glob("*" + extension)):
        given = path.with_suffix(".in.npz")
        yield path, dict(numpy.load(given)) if given.exists() else None


def write(path, outputs):
    import numpy

    numpy.savez(path.with_suffix(".out.npz"), **{name: numpy.ascontiguousarray(value) for name, value in outputs.items()})


def onnx(folder):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    for path, given in files(folder, ".onnx"):
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        path.with_suffix(".json").write_text(json.dumps(session.get_modelmeta().custom_metadata_map))
        if given:
            names = [output.name for output in session.get_outputs()]
            write(path, dict(zip(names, session.run(names, given))))


def pytorch(folder, page):
    import torch

    torch.set_num_threads(1)
    blocks = re.findall(r"```python\n(.*?)```", pathlib.Path(page).read_text(), re.DOTALL)
    source = next(block for block in blocks if "class Exported" in block)
    space = {}
    exec(compile(source, page, "exec"), space)
    for path, given in files(folder, ".safetensors"):
        network = space["Exported"](str(path))
        with torch.no_grad():
            outputs = network(*(torch.from_numpy(given[picture["name"]]) for picture in network.pictures))
        write(path, {name: value.numpy() for name, value in outputs.items()})


def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import plugin_data_pb2

    found = EventAccumulator(folder, size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    found.Reload()
    tags = found.Tags()
    hyperparameters = {}
    summary = found.summary_metadata.get("_hparams_/session_start_info")
    if summary:
        data = plugin_data_pb2.HParamsPluginData.FromString(summary.plugin_data.content)
        for name, value in data.session_start_info.hparams.items():
            hyperparameters[name] = getattr(value, value.WhichOneof("kind"))
    texts = {tag: found.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in tags["tensors"] if tag == "configuration"}
    images = {tag: [(image.width, image.height) for image in found.Images(tag)] for tag in tags["images"]}
    number = lambda value: value if math.isfinite(value) else None
    scalars = {tag: [(scalar.step, number(scalar.value)) for scalar in found.Scalars(tag)] for tag in tags["scalars"]}
    print(json.dumps({"scalars": scalars, "images": images, "hyperparameters": hyperparameters, "texts": texts}))


def has(*modules):
    for module in modules:
        importlib.import_module(module)


if __name__ == "__main__":
    {"has": has, "onnx": onnx, "pytorch": pytorch, "events": events}[sys.argv[1]](*sys.argv[2:])
