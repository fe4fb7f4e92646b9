"""ncnn, with the model as pnnx converts it."""

import peer

import importlib.metadata

import ncnn
import numpy


def prepare(task):
    if task.kind == "int8":
        raise SystemExit("its quantiser (ncnn2table, ncnn2int8) is no part of its Python package")
    peer.converted(task)


def load(task):
    model = peer.converted(task)
    net = ncnn.Net()
    net.opt.num_threads = task.threads
    # float32 throughout
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.load_param(f"{model}.ncnn.param")
    net.load_model(f"{model}.ncnn.bin")

    def infer(image):
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(image[0]))
        _, logits = extractor.extract("out0")
        return numpy.array(logits)

    return infer


peer.main(f"ncnn {importlib.metadata.version('ncnn')}", prepare, load)
