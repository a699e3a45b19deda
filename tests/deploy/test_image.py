"""deploy/docker/Dockerfile and Dockerfile.node as files: in good form, what is copied is there and is enough, the program needs nothing
that the image lacks, and README.md starts it as it is meant. And that names every file. They are built and run in test_built_image.py.
Run by `./test deploy`."""

import re
import shutil
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

from common import DEPLOY, PORTUNUS, ROOT, TOOLS, instructions, longest_stop, run
from readme import commands

DOCKERFILE = DEPLOY / "docker/Dockerfile"
# The C library's family, and libgcc, without which Debian has no base image.
IN_THE_IMAGE = re.compile(r"linux-vdso\.so\.1|(/lib64/)?ld-linux[\w.-]*\.so\.\d|lib(c|m|dl|rt|pthread)\.so\.\d|libgcc_s\.so\.1")


class Image(unittest.TestCase):
    def copied(self):
        sources = []
        for name, rest in instructions():
            if name == "COPY" and "--from" not in rest:
                sources += rest.split()[:-1]
        return sources

    def test_form(self):
        code, said = run(TOOLS / "hadolint", "--failure-threshold", "style", DOCKERFILE, DOCKERFILE.with_name("Dockerfile.node"))
        self.assertEqual(code, 0, said)

    def test_what_is_copied_is_there_and_is_sent(self):
        rules = (DEPLOY / "docker/Dockerfile.dockerignore").read_text().splitlines()
        sent = {rule[1:] for rule in rules if rule.startswith("!")}
        self.assertIn("*", rules)
        self.assertEqual(set(self.copied()), sent)
        for source in self.copied():
            self.assertTrue((ROOT / source).exists(), source)

    def test_what_is_copied_is_enough(self):
        with tempfile.TemporaryDirectory() as folder:
            tracked = subprocess.run(["git", "ls-files", "-z", *self.copied()], cwd=ROOT, check=True, capture_output=True, text=True)
            for path in filter(None, tracked.stdout.split("\0")):
                target = Path(folder, path)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / path, target)
            code, said = run("cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version=1", cwd=folder)
            self.assertEqual(code, 0, said)
            for source in Path(folder, "crates").rglob("src/**/*.rs"):
                for name in re.findall(r'include_(?:str|bytes)!\(\s*"([^"]+)"', source.read_text()):
                    self.assertTrue((source.parent / name).resolve().is_file(), f"{source.relative_to(folder)} includes {name}")

    def test_the_compiler_is_new_enough(self):
        wanted = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"]
        image = re.search(r"^FROM rust:([\d.]+)", DOCKERFILE.read_text(), re.M)[1]
        self.assertGreaterEqual([int(part) for part in image.split(".")], [int(part) for part in wanted.split(".")])

    def test_the_program_needs_only_what_the_image_has(self):
        code, said = run("ldd", PORTUNUS)
        self.assertEqual(code, 0, said)
        for line in said.strip().splitlines():
            self.assertRegex(line.split()[0], rf"^({IN_THE_IMAGE.pattern})$")

    def test_it_runs_as_nobody_special_and_tells_of_its_health(self):
        said = dict(instructions())
        self.assertRegex(said["USER"], r"^[1-9]\d*:[1-9]\d*$")
        self.assertEqual((said["ENTRYPOINT"], said["CMD"]), ('["portunus"]', '["serve"]'))
        command = re.search(r"CMD \[(.+)\]", said["HEALTHCHECK"])[1].replace('"', "").split(", ")
        self.assertEqual(command[0], "portunus")
        code, help_text = run(PORTUNUS, *command[1:], "--help")
        self.assertEqual(code, 0, help_text)
        self.assertIn("ready", help_text)

    def test_the_node_image_changes_nothing_else(self):
        """It ends with the user that it found, and has no words of its own about what is run."""
        names = [name for name, _ in instructions("Dockerfile.node")]
        self.assertEqual([rest for name, rest in instructions("Dockerfile.node") if name == "USER"], ["0:0", dict(instructions())["USER"]])
        self.assertFalse({"ENTRYPOINT", "CMD", "HEALTHCHECK", "WORKDIR", "STOPSIGNAL"} & set(names))

    def test_it_is_started_as_it_is_meant(self):
        said = dict(instructions())
        words = [line for line in commands("One gateway, in a container", "docker build") if line[1] == "run"][0]
        options = [f"{name} {value}" for name, value in zip(words, words[1:])]
        self.assertIn(f"--publish 127.0.0.1:3000:{said['EXPOSE']}", options)
        self.assertIn(f"--volume portunus:{said['VOLUME']}", options)
        self.assertIn(f"--volume /etc/portunus:{said['WORKDIR']}:ro", options)
        self.assertEqual(words[-1], "portunus")
        self.assertGreater(int(words[words.index("--stop-timeout") + 1]), longest_stop("5s"))
        # Which is how test_built_image.py runs it.
        self.assertLessEqual({"--read-only", "--tmpfs /tmp", "--cap-drop ALL", "--security-opt no-new-privileges"}, {*words, *options})


class Readme(unittest.TestCase):
    def test_it_names_every_file(self):
        text = (DEPLOY / "README.md").read_text()
        for path in DEPLOY.rglob("*"):
            if path.is_file() and path.name != "README.md":
                self.assertIn(f"]({path.relative_to(DEPLOY)})", text)
