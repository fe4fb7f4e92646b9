"""OpenVINO: the model as it is, or quantised by NNCF with its default settings."""

import peer

import openvino


def prepare(task):
    if task.kind == "float32":
        return
    import nncf

    images = task.calibration()
    model = openvino.Core().read_model(task.model)
    quantised = nncf.quantize(model, nncf.Dataset(images), subset_size=len(images), target_device=nncf.TargetDevice.CPU)
    openvino.save_model(quantised, task.work / "openvino-int8.xml", compress_to_fp16=False)


def load(task):
    core = openvino.Core()
    model = task.model if task.kind == "float32" else task.work / "openvino-int8.xml"
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": task.threads,
        "ENABLE_HYPER_THREADING": True,
        # otherwise bfloat16 where the processor has it
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    output = request.get_output_tensor()

    def infer(image):
        # over the array's own memory: nothing is copied
        request.set_input_tensor(openvino.Tensor(image, shared_memory=True))
        request.infer()
        return output.data

    return infer


peer.main(f"openvino {openvino.__version__.split('-')[0]}", prepare, load)
