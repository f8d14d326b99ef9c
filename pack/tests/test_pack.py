"""Tests of the pack's scripts, with programs and libraries that only pretend: `python3 -m unittest discover pack/tests`.

`cargo test -p xtask` runs them where Python is installed.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PACK = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PACK / "python"))

import carry  # noqa: E402
import libraries  # noqa: E402
import steps  # noqa: E402
import tables  # noqa: E402

MANIFEST = {"revision": "abc", "device": "cpu", "feature": "", "cuda": None, "compute": [], "architecture": "x86_64", "glibc": "2.17",
            "needed": [], "versions": {"libcudnn.so.9": "9"}, "programs": ["mtcool", "tests", "training"]}

# Each program writes its command line to calls.log, and does what files beside it say.
TESTS = """#!/bin/sh
here=$(dirname "$0"); echo "tests $*" >> "$here/calls.log"
case "$*" in
*--list*--ignored*) echo "on_a_card: test" ;;
*--list*) printf 'one: test\\ntwo: test\\non_a_card: test\\n' ;;
*)
    [ -n "$MTCOOL_GOLDEN_DIR" ] && [ -n "$MTCOOL_PROGRAM" ] || exit 9
    status=0
    for name in one two; do
        case " $* " in *" $name "*)
            if [ -e "$here/fails-$name" ]; then echo "test $name ... FAILED"; echo "why $name"; status=101
            else echo "test $name ... ok"; fi ;;
        esac
    done
    exit $status ;;
esac
"""
TRAINING = """#!/bin/sh
here=$(dirname "$0"); echo "training $*" >> "$here/calls.log"
case "$*" in
*--list*) printf 'lenet_joint\\nunet_joint\\n'; exit 0 ;;
esac
for case in "$@"; do :; done
if [ -e "$here/fails-$case" ]; then echo "no such kernel" >&2; exit 1; fi
echo "{\\"case\\": \\"$case\\", \\"ms_per_step\\": 4.0}"
"""
MTCOOL = """#!/bin/sh
here=$(dirname "$0"); echo "mtcool $*" >> "$here/calls.log"
command=$1; table=$2; results=$PWD/results
while [ $# -gt 0 ]; do [ "$1" = --results ] && results=$2; shift; done
mkdir -p "$results/$table"
echo "method,label,runs,seconds_per_epoch,task,metric,mean,std" > "$results/$table/table.csv"
echo "joint,Joint,1,2.0,even,accuracy,99.0," >> "$results/$table/table.csv"
echo "mtcool,MT-COOL,1,5.0,even,accuracy,99.5," >> "$results/$table/table.csv"
if [ -e "$here/sleeps" ] && [ $command = reproduce ]; then sleep 60; fi
"""


# As much of PyTorch and of a torch_bench.py as peers.py touches.
TORCH = """
from types import SimpleNamespace as Some
__version__ = "0.0"
backends = Some(cuda=Some(matmul=Some()), cudnn=Some())
def manual_seed(seed): pass
"""
TORCH_BENCH = """
class LeNet:
    images = 256
    def __init__(self, tasks, device): pass
    def batch(self): return []
class UNet(LeNet):
    def __init__(self, tasks, device, heads=("seg3", "cls2"), size=256, bs=2, cl=False): self.images = 2 * bs
def step_joint(net, batch): pass
def step_coop(net, batch, samples): raise RuntimeError("out of memory")
CASES = {"lenet_joint": (lambda device, cl: LeNet(1, device), step_joint)}
"""


class Lab(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.pack = self.folder / "a pack"
        shutil.copytree(PACK / "python", self.pack / "python", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(PACK / "run.sh", self.pack / "run.sh")
        (self.pack / "bin").mkdir()
        for name, text in (("tests", TESTS), ("training", TRAINING), ("mtcool", MTCOOL)):
            program = self.pack / "bin" / name
            program.write_text(text)
            program.chmod(0o755)
        self.write_manifest(MANIFEST)

    def write_manifest(self, manifest):
        (self.pack / "manifest.json").write_text(json.dumps(manifest))

    def run_pack(self, *arguments):
        """(exit status, the objects that were printed, everything else)."""
        answer = subprocess.run([self.pack / "run.sh", *map(str, arguments)], cwd=self.folder, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, timeout=100)
        lines = answer.stdout.splitlines()
        return answer.returncode, [json.loads(line) for line in lines if line.startswith("{")], answer.stdout

    def calls(self):
        log = self.pack / "bin" / "calls.log"
        return log.read_text().splitlines() if log.exists() else []

    def summary(self, out="out"):
        return json.loads((self.folder / out / "summary.json").read_text())


class Steps(Lab):
    def test_each_step_prints_a_line_and_is_kept_and_does_not_run_again(self):
        status, printed, _ = self.run_pack("tests", "bench", "table1", "--data", "mnist=synth", "--seeds", 1)
        self.assertEqual(status, 0)
        states = {record["step"]: record["state"] for record in printed if "state" in record}
        self.assertEqual(states, {"machine": "ok", "tests": "ok", "bench": "ok", "table1": "ok"})
        known = self.summary()["steps"]
        self.assertEqual((known["tests"]["passed"], known["tests"]["failed"]), (2, 0))
        self.assertEqual(known["bench"]["cases"]["unet_joint"]["ms_per_step"], 4.0)
        self.assertEqual(known["table1"]["rows"]["MT-COOL"]["metrics"]["even.accuracy"]["mean"], "99.5")
        before = self.calls()
        self.assertIn("mtcool reproduce table1 --device cpu --results", " ".join(before))
        self.assertIn("--data synth --profile paper --seeds 1", " ".join(before))
        status, printed, _ = self.run_pack("tests", "bench", "table1", "--data", "mnist=synth", "--seeds", 1)
        self.assertEqual((status, self.calls()), (0, before))
        self.assertEqual([record["note"] for record in printed if "note" in record], ["finished before"] * 3)
        self.run_pack("tests", "--again")
        self.assertGreater(len(self.calls()), len(before))

    def test_a_test_that_fails_runs_again_alone_and_next_time(self):
        broken = self.pack / "bin" / "fails-two"
        broken.touch()
        status, printed, _ = self.run_pack("tests")
        self.assertEqual(status, 1)
        self.assertEqual(printed[1]["failures"], ["two"])
        self.assertIn("why two", self.summary()["steps"]["tests"]["results"]["two"])
        self.assertEqual([call for call in self.calls() if "--exact" in call], ["tests --exact one two", "tests --exact two"])
        broken.unlink()
        status, _, _ = self.run_pack("tests")
        self.assertEqual(status, 0)
        self.assertEqual(self.calls()[-1], "tests --exact two")

    def test_a_case_that_fails_does_not_take_the_others_with_it(self):
        broken = self.pack / "bin" / "fails-lenet_joint"
        broken.touch()
        status, _, _ = self.run_pack("bench")
        cases = self.summary()["steps"]["bench"]["cases"]
        self.assertEqual((status, cases["unet_joint"]["ms_per_step"]), (1, 4.0))
        self.assertIn("no such kernel", cases["lenet_joint"]["error"])
        broken.unlink()
        self.assertEqual(self.run_pack("bench")[0], 0)
        self.assertEqual(sum("unet_joint" in call for call in self.calls()), 1)

    def test_a_table_that_runs_out_of_time_goes_on_with_the_same_flags(self):
        asleep = self.pack / "bin" / "sleeps"
        asleep.touch()
        status, printed, _ = self.run_pack("table1", "table2", "--data", "mnist=synth", "--data", "refuge=synth", "--minutes", 0.02)
        self.assertEqual(status, 1)
        self.assertEqual(printed[-1]["states"], {"table1": "stopped", "table2": "stopped"})
        self.assertEqual(sum("table2" in call for call in self.calls()), 0)
        asleep.unlink()
        status, _, _ = self.run_pack("table1", "--data", "mnist=synth", "--seeds", 4)
        self.assertEqual((status, self.summary()["steps"]["table1"]["state"]), (0, "ok"))
        first, last = [call for call in self.calls() if call.startswith("mtcool reproduce table1")]
        self.assertEqual(first, last)

    def test_table_3_takes_the_epochs_that_fit(self):
        status, printed, _ = self.run_pack("table3", "--data", "hrf-av=synth", "--minutes", 1, "--seeds", 1, "--methods", "joint,pcgrad,mtcool")
        self.assertEqual(status, 0)
        timed, trained = [call for call in self.calls() if "reproduce table3" in call]
        self.assertIn("--methods joint,mtcool", timed)
        self.assertIn("training.epochs=1 ", timed)
        # 70 % of nearly 60 s, at 2 + 2 * 2 + 5 seconds for an epoch of the three.
        self.assertIn("training.epochs=3 ", trained)
        self.assertIn("method.mtcool.warmup_iterations=15", trained)
        for part in ("scale=2", "patch=1024", "tile=1024", "overlap=128", "margin=32"):
            self.assertIn(f"data.settings.{part}", trained)
        status, printed, _ = self.run_pack("table3", "--data", "hrf-av=synth", "--minutes", 0.1, "--out", "other")
        self.assertEqual(status, 1)
        self.assertIn("give more `--minutes`", printed[-2]["error"])

    def test_pytorch_is_measured_beside_it(self):
        (self.pack / "peers").mkdir()
        (self.pack / "peers/torch_bench.py").write_text(TORCH_BENCH)
        (self.folder / "site/torch").mkdir(parents=True)
        (self.folder / "site/torch/__init__.py").write_text(TORCH)
        self.addCleanup(os.environ.pop, "PYTHONPATH", None)
        status, _, text = self.run_pack("peers", "--cases", "lenet_joint")
        self.assertEqual(status, 1)
        self.assertIn("has no PyTorch", self.summary()["steps"]["peers"]["error"])
        os.environ["PYTHONPATH"] = str(self.folder / "site")
        status, _, _ = self.run_pack("bench", "peers", "--seconds", 0.01, "--cases", "lenet_joint")
        self.assertEqual(status, 0)
        # A case that fails counts as one; those that are there are not measured again.
        status, printed, _ = self.run_pack("peers", "--again", "--seconds", 0.01, "--cases", "lenet_joint,unet_joint_512,unet_mtcool_m1_512")
        cases = self.summary()["steps"]["peers"]["cases"]
        self.assertEqual((status, len(cases)), (1, 6))
        self.assertIn("out of memory", cases["unet_mtcool_m1_512 nchw f32"]["error"])
        self.assertGreater(cases["unet_joint_512 channels_last f32"]["images_per_s"], 0)
        self.assertIn("speed_relative_to_pytorch", self.summary()["speed"][0]["pytorch_f32"])
        measured = sum(record["step"] == "peers" and "case" in record for record in printed)
        status, printed, _ = self.run_pack("--seconds", 0.01, "peers", "--cases", "lenet_joint,unet_joint_512,unet_mtcool_m1_512")
        self.assertEqual((measured, sum(record["step"] == "peers" and "case" in record for record in printed)), (6, 2))

    def test_what_cannot_run_is_left_out_with_a_reason(self):
        status, printed, _ = self.run_pack("peers", "table1")
        reasons = {record["step"]: record["reason"] for record in printed if "reason" in record}
        self.assertEqual(status, 0)
        self.assertIn("--peers DIR", reasons["peers"])
        self.assertIn("--data mnist=DIR", reasons["table1"])

    def test_mistakes_are_named(self):
        for arguments, part in ((["tables"], "unknown step `tables`: expected tests, bench"), (["--data", "mnist"], "expected SET=DIR"),
                                (["--minutes", "0"], "expected a number above 0"), (["--device", "cuda:0"], "built for `cpu`")):
            status, _, text = self.run_pack(*arguments)
            self.assertEqual(status, 2, text)
            self.assertIn(part, text)
        self.write_manifest({**MANIFEST, "glibc": "9.99"})
        status, _, text = self.run_pack("tests")
        self.assertEqual(status, 1)
        self.assertIn("9.99 or later", text)
        self.write_manifest(MANIFEST)
        (self.folder / "out" / "summary.json").write_text("{")
        status, _, text = self.run_pack("tests")
        self.assertIn("is damaged", text)
        self.assertNotIn("Traceback", text)

    def test_what_was_collected_goes_on_elsewhere(self):
        self.run_pack("bench", "table1", "--data", "mnist=synth", "--collect", "carried")
        names = sorted(path.name for path in (self.folder / "carried").iterdir())
        self.assertEqual(names, ["results.tar.gz.00", "run.log", "summary.json", "tables.tar.gz"])
        before = self.calls()
        for _ in range(2):
            status, printed, _ = self.run_pack("bench", "table1", "--data", "mnist=synth", "--out", "new", "--continue", "carried")
            self.assertEqual((status, self.calls()), (0, before))
        self.assertTrue((self.folder / "new/results/table1/table.csv").is_file())
        status, _, text = self.run_pack("bench", "--out", "third", "--continue", "nowhere")
        self.assertEqual(status, 1)
        self.assertIn("expected a folder that `--collect` filled", text)


class Pieces(unittest.TestCase):
    def test_pieces_joined_are_the_whole(self):
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        size, carry.PIECE = carry.PIECE, 1000
        self.addCleanup(setattr, carry, "PIECE", size)
        content = os.urandom(5500)
        (folder / "out/results/table1").mkdir(parents=True)
        (folder / "out/results/table1/model.safetensors").write_bytes(content)
        (folder / "out/summary.json").write_text("{}")
        carry.collect(folder / "out", folder / "carried")
        pieces = sorted(path for path in (folder / "carried").glob("results.tar.gz.*"))
        self.assertGreaterEqual(len(pieces), 6)
        self.assertTrue(all(path.stat().st_size <= 1000 for path in pieces))
        carry.restore(folder / "carried", folder / "new")
        self.assertEqual((folder / "new/results/table1/model.safetensors").read_bytes(), content)


class Libraries(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        for name in ("loader_cache", "python_folders", "toolkit_folders", "DRIVER_FOLDERS"):
            self.addCleanup(setattr, libraries, name, getattr(libraries, name))
        libraries.loader_cache = lambda: {}
        libraries.python_folders = lambda python: libraries.existing([self.folder / "python/cudnn/lib", self.folder / "python/cu13/lib"])
        libraries.toolkit_folders = lambda environment: libraries.existing([self.folder / "toolkit/lib64"])
        libraries.DRIVER_FOLDERS = [str(self.folder / "driver")]

    def put(self, folder, *names):
        (self.folder / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            (self.folder / folder / name).touch()

    def find(self, *needed, given=None, environment=None):
        folders, files = libraries.find(list(needed), given, ["python3"], environment or {})
        return [str(Path(folder).relative_to(self.folder)) for folder in folders], files

    def test_libraries_of_one_place_stay_together(self):
        self.put("driver", "libcuda.so.1")
        self.put("toolkit/lib64", "libcublas.so.13")
        self.put("python/cu13/lib", "libcublas.so.13")
        self.put("python/cudnn/lib", "libcudnn.so.9")
        # The toolkit has no cuDNN; the packages have both.
        folders, files = self.find("libcublas.so.13", "libcudnn.so.9", "libcuda.so.1")
        self.assertEqual(folders, ["python/cu13/lib", "python/cudnn/lib", "driver"])
        self.assertEqual(files["libcublas.so.13"], str(self.folder / "python/cu13/lib/libcublas.so.13"))
        # Where no place has all of them, each comes from the first that has it.
        (self.folder / "python/cu13/lib/libcublas.so.13").unlink()
        folders, files = self.find("libcublas.so.13", "libcudnn.so.9", "libcuda.so.1")
        self.assertEqual(files["libcublas.so.13"], str(self.folder / "toolkit/lib64/libcublas.so.13"))
        self.assertIn("python/cudnn/lib", folders)

    def test_a_given_folder_comes_first_and_the_path_next(self):
        for folder in ("given", "path", "python/cu13/lib"):
            self.put(folder, "libcublas.so.13", "libcuda.so.1")
        environment = {"LD_LIBRARY_PATH": str(self.folder / "path")}
        self.assertEqual(self.find("libcublas.so.13", given=str(self.folder / "given"), environment=environment)[0][0], "given")
        self.assertEqual(self.find("libcublas.so.13", "libcuda.so.1", environment=environment)[0][0], "path")
        self.assertEqual(self.find("libcublas.so.13")[0], ["python/cu13/lib"])

    def test_what_is_missing_is_named_with_where_it_was_searched(self):
        self.put("toolkit/lib64", "libcublas.so.13")
        with self.assertRaisesRegex(libraries.Unusable, "no NVIDIA driver: libcuda.so.1"):
            self.find("libcublas.so.13", "libcuda.so.1")
        self.put("driver", "libcuda.so.1")
        with self.assertRaisesRegex(libraries.Unusable, "are missing: libcudnn.so.9. Searched: .*toolkit/lib64"):
            self.find("libcublas.so.13", "libcudnn.so.9", "libcuda.so.1")
        self.assertEqual(libraries.find([], None, [], {}), ([], {}))

    def test_a_machine_that_is_too_old_is_told_why(self):
        manifest = {**MANIFEST, "device": "cuda", "cuda": "13.0", "compute": ["8.0"]}
        card = {"name": "a card", "compute": "9.0", "memory_mib": 80000}
        said = {"driver_supports": "13.0", "cards": [card], "libraries": {"libcudnn.so.9": "9.12.0", "libnvrtc.so.13": None}, "files": {}}
        libraries.judge(manifest, said)
        for change, part in (({"driver_supports": "12.4"}, "supports CUDA 12.4, .* driver 580 or later"), ({"cards": []}, "sees no card"),
                             ({"cards": [{**card, "compute": "7.5"}]}, "CUDA_COMPUTE_CAP=75"),
                             ({"libraries": {"libcudnn.so.9": "8.9.7"}}, "libcudnn.so.9 8.9.7"), ({"error": "error 803"}, "803")):
            with self.assertRaisesRegex(libraries.Unusable, part):
                libraries.judge(manifest, {**said, **change})
        with self.assertRaisesRegex(libraries.Unusable, "could not be loaded"):
            libraries.ask_libraries({"libcuda.so.1": "/no/libcuda.so.1"}, dict(os.environ))

    def test_the_loaders_list_is_read(self):
        program = self.folder / "ldconfig"
        program.write_text("#!/bin/sh\necho '2 libs found in cache'\necho '\tlibcuda.so.1 (libc6,x86-64) => /first/libcuda.so.1'\n"
                           "echo '\tlibcuda.so.1 (libc6) => /second/libcuda.so.1'\n")
        program.chmod(0o755)
        path = os.environ["PATH"]
        self.addCleanup(os.environ.__setitem__, "PATH", path)
        os.environ["PATH"] = f"{self.folder}:{path}"
        self.assertEqual(LOADER_CACHE()["libcuda.so.1"], Path("/first/libcuda.so.1"))


LOADER_CACHE = libraries.loader_cache


class Figures(unittest.TestCase):
    def test_the_better_layout_counts(self):
        peer = {"case": "unet", "arithmetic": "tf32"}
        summary = {"steps": {"bench": {"cases": {"unet": {"ms_per_step": 4.0}, "lenet": {"error": "x"}}}, "peers": {"cases": {
            "a": {**peer, "layout": "nchw", "ms_per_step": 3.0}, "b": {**peer, "layout": "channels_last", "ms_per_step": 2.0},
            "c": {**peer, "arithmetic": "bf16", "layout": "nchw", "error": "x"}}}}}
        unet, lenet = steps.ratios(summary)
        self.assertEqual(unet["pytorch_tf32"], {"ms_per_step": 2.0, "layout": "channels_last", "speed_relative_to_pytorch": 0.5})
        self.assertNotIn("pytorch_bf16", unet)
        self.assertEqual(lenet, {"case": "lenet", "ms_per_step": None})

    def test_a_table_has_the_share_of_warm_up_of_its_profile(self):
        self.assertEqual(tables.lasting(200)[-1], "method.mtcool.warmup_iterations=1000")
        text = (PACK.parent / "experiments/table3.toml").read_text()
        paper = text[text.index("[paper]"):]
        for line in (f"epochs = {tables.TABLE3_EPOCHS}", f"warmup_iterations = {tables.TABLE3_WARMUP}",
                     *(f"{name} = {length}" for name, length in tables.TABLE3_LENGTHS.items())):
            self.assertIn(line, paper)


if __name__ == "__main__":
    unittest.main()
