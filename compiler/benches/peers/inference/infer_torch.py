"""PyTorch, with the model as pnnx converts it: called directly, or compiled by its own compiler."""

import peer

import importlib.util

import torch


def load(task):
    torch.set_num_threads(task.threads)
    spec = importlib.util.spec_from_file_location("model", f"{peer.converted(task)}_pnnx.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.Model().float().eval()
    if task.kind == "compiled":
        from torch._inductor import config

        # weights are constants, and laid out for their products
        config.freezing = True
        network = torch.compile(network)

    def infer(image):
        with torch.inference_mode():
            return network(torch.from_numpy(image)).numpy()

    return infer


peer.main(f"PyTorch {torch.__version__}", peer.converted, load)
