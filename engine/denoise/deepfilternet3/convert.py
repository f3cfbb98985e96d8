#!/usr/bin/env python3
"""Makes model.safetensors from the ONNX files of DeepFilterNet 3.

    convert.py FOLDER     enc.onnx, erb_dec.onnx and df_dec.onnx lie there

Versions are pinned in requirements.txt.  The file holds what
engine/denoise/df_net.c binds, as float32.  Nothing is lost, three things are
arranged for the ops that take them:

- A depthwise convolution and the pointwise one that follows it, nothing in
  between, become one convolution: w[o, c, k] = pointwise[o, c] depthwise[c, k].
  Products are made in float64.
- Grouped linear layers are [outputs, inputs of a group]; neighbouring groups
  become one, filled up with zeros, until a group has a multiple of 32 outputs.
  A scale per channel is such a layer with groups of one.
- GRU gates go from ONNX's order z, r, h to PyTorch's r, z, n.
"""

import argparse
import math
import pathlib

import numpy
import onnx
import onnx.numpy_helper
import safetensors.numpy

HERE = pathlib.Path(__file__).resolve().parent
ROW_GROUP = 32  # gpu/gpu.h


class Graph:
    """The tensors of one file: initializers, and outputs of Constant nodes."""

    def __init__(self, path):
        self.graph = onnx.load(path).graph
        self.tensors = {t.name: onnx.numpy_helper.to_array(t) for t in self.graph.initializer}
        for node in self.graph.node:
            for a in node.attribute:
                if node.op_type == "Constant" and a.name == "value":
                    self.tensors[node.output[0]] = onnx.numpy_helper.to_array(a.t)

    def __getitem__(self, name):
        return self.tensors[name].astype(numpy.float64)

    def grus(self):
        """W, R, B of each GRU, in the order of the graph."""
        nodes = [n for n in self.graph.node if n.op_type == "GRU"]
        return [[self[name][0] for name in node.input[1:4]] for node in nodes]


def grouped(w):
    """[groups, inputs, outputs] -> [groups * outputs, inputs of a merged group]"""
    n, n_in, n_out = w.shape
    merge = ROW_GROUP // math.gcd(ROW_GROUP, n_out)
    merged = numpy.zeros((n, n_out, merge, n_in))
    for g in range(n):
        merged[g, :, g % merge] = w[g].T
    return merged.reshape(n * n_out, merge * n_in)


def scales(w):
    return grouped(w.reshape(-1, 1, 1))


def separable(depthwise, pointwise):
    """[C, 1, 1, K], [O, C, 1, 1] -> [O, C, K]"""
    return pointwise[:, :, 0, 0, None] * depthwise[None, :, 0, 0]


def in_two_groups(w, pointwise):
    """[O, I, T, F] in two groups of outputs and inputs, then [P, O, 1, 1] -> [P, 2, I, T, F]"""
    n_out = w.shape[0] // 2
    halves = [
        numpy.einsum("po,oitf->pitf", pointwise[:, h * n_out :][:, :n_out, 0, 0], part)
        for h, part in enumerate((w[:n_out], w[n_out:]))
    ]
    return numpy.stack(halves, 1)


def gru(out, name, weights):
    w, r, b = weights
    n = w.shape[1]
    order = numpy.concatenate([numpy.arange(n, 2 * n), numpy.arange(n), numpy.arange(2 * n, 3 * n)])
    out[name + ".w_ih"], out[name + ".w_hh"] = w[order], r[order]
    out[name + ".b_ih"], out[name + ".b_hh"] = b[: 3 * n][order], b[3 * n :][order]


def encoder(out, g):
    out["enc.erb_conv0.weight"] = g["onnx::Conv_282"][:, 0]
    out["enc.erb_conv0.bias"] = g["onnx::Conv_283"]
    for i, n in enumerate((285, 288, 291), 1):
        depthwise = g[f"erb_conv{i}.0.weight"]
        out[f"enc.erb_conv{i}.weight"] = separable(depthwise, g[f"onnx::Conv_{n}"])
        out[f"enc.erb_conv{i}.bias"] = g[f"onnx::Conv_{n + 1}"]
    w = in_two_groups(g["df_conv0.1.weight"], g["onnx::Conv_294"])
    out["enc.df_conv0.weight"] = w.reshape(64, 6, 3)
    out["enc.df_conv0.bias"] = g["onnx::Conv_295"]
    out["enc.df_conv1.weight"] = separable(g["df_conv1.0.weight"], g["onnx::Conv_297"])
    out["enc.df_conv1.bias"] = g["onnx::Conv_298"]
    out["enc.df_fc_emb.weight"] = grouped(g["df_fc_emb.0.weight"])
    out["enc.linear_in.weight"] = grouped(g["emb_gru.linear_in.0.weight"])
    gru(out, "enc.gru", g.grus()[0])
    out["enc.linear_out.weight"] = grouped(g["emb_gru.linear_out.0.weight"])
    out["enc.lsnr.weight"] = g["onnx::MatMul_337"].T
    out["enc.lsnr.bias"] = g["lsnr_fc.0.bias"]


def erb_decoder(out, g):
    out["erb_dec.linear_in.weight"] = grouped(g["emb_gru.linear_in.0.weight"])
    for i, weights in enumerate(g.grus()):
        gru(out, f"erb_dec.gru{i}", weights)
    out["erb_dec.linear_out.weight"] = grouped(g["emb_gru.linear_out.0.weight"])
    for i, n in zip((3, 2, 1, 0), (288, 294, 300, 306)):
        out[f"erb_dec.conv{i}p.weight"] = scales(g[f"onnx::Conv_{n}"])
        out[f"erb_dec.conv{i}p.bias"] = g[f"onnx::Conv_{n + 1}"]
    for i, n in zip((3, 2, 1), (291, 297, 303)):
        w = separable(g[f"convt{i}.0.weight"], g[f"onnx::Conv_{n}"])
        out[f"erb_dec.convt{i}.weight"] = w if i == 3 else w.transpose(1, 0, 2)
        out[f"erb_dec.convt{i}.bias"] = g[f"onnx::Conv_{n + 1}"]
    out["erb_dec.conv0_out.weight"] = g["onnx::Conv_309"][:, :, 0]
    out["erb_dec.conv0_out.bias"] = g["onnx::Conv_310"]


def df_decoder(out, g):
    w = in_two_groups(g["df_convp.1.weight"], g["onnx::Conv_268"])
    out["df_dec.convp.weight"] = w.reshape(10, 64, 5)
    out["df_dec.convp.bias"] = g["onnx::Conv_269"]
    out["df_dec.linear_in.weight"] = grouped(g["df_gru.linear_in.0.weight"])
    for i, weights in enumerate(g.grus()):
        gru(out, f"df_dec.gru{i}", weights)
    out["df_dec.skip.weight"] = grouped(g["df_skip.weight"])
    out["df_dec.out.weight"] = grouped(g["df_out.0.weight"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    out = {}
    encoder(out, Graph(folder / "enc.onnx"))
    erb_decoder(out, Graph(folder / "erb_dec.onnx"))
    df_decoder(out, Graph(folder / "df_dec.onnx"))
    out = {k: numpy.ascontiguousarray(v, dtype=numpy.float32) for k, v in out.items()}
    safetensors.numpy.save_file(out, HERE / "model.safetensors")


if __name__ == "__main__":
    main()
