"""Runs an image (images.py) as a container runtime does: its files as the root, read-only; its volumes; its user without any capability;
its variables; its program as process 1. Namespaces of processes and mounts are its own; the network is this machine's, so that what
listens there is on loopback.

Made of util-linux, since runtimes want cgroups, which not every sandbox gives away. Needs root.
"""

import os
import signal
import subprocess
from pathlib import Path

import images

# Arguments: the root; source, target and `ro` or `rw` of each mount; `--`; the command.
SCRIPT = """set -eu
root=$1; shift
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=0755 dev "$root/dev"
for device in null zero full random urandom; do touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
ln -s /proc/self/fd "$root/dev/fd"; ln -s fd/0 "$root/dev/stdin"; ln -s fd/1 "$root/dev/stdout"; ln -s fd/2 "$root/dev/stderr"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
while [ "$1" != -- ]; do
  mount --bind "$1" "$root$2"
  mount -o "remount,bind,nosuid,nodev,$3" "$root$2"
  shift 3
done
shift
mount -o remount,bind,ro "$root"
exec chroot "$root" "$@"
"""
# What a runtime adds to an image that names none.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Container:
    """`mounts` are folders by the places that they are put on, read-only; volumes are kept below `folder`, and found there the next time."""

    def __init__(self, image, root, folder, mounts):
        self.config, self.root, self.folder = images.config(image), root, folder
        self.variables = {"PATH": PATH} | dict(entry.split("=", 1) for entry in self.config["Env"] or [])
        self.mounts = [word for place, source in mounts.items() for word in (source, place, "ro")]
        for place in self.config["Volumes"]:
            self.mounts += [self.volume(place), place, "rw"]
        # As runtimes do: the image brings none.
        (root / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        self.log = folder / "container.log"

    def volume(self, place):
        """A new volume begins as the folder it is put on."""
        volume, below = self.folder / place.strip("/").replace("/", "-"), self.root / place.lstrip("/")
        if not volume.exists():
            volume.mkdir()
            os.chown(volume, below.stat().st_uid, below.stat().st_gid)
            volume.chmod(below.stat().st_mode & 0o7777)
        return volume

    def inside(self, command):
        """The command with the image's user, folder and variables."""
        user, group = self.config["User"].split(":")
        rights = [f"--reuid={user}", f"--regid={group}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
        variables = [f"{name}={value}" for name, value in self.variables.items()]
        return ["/usr/bin/setpriv", *rights, "/usr/bin/env", "-i", "-C", self.config["WorkingDir"], *variables, *command]

    def first(self, command):
        """The command that runs the entry point as process 1 of new namespaces."""
        new = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child=KILL"]
        script = ["sh", "-c", SCRIPT, "sh", self.root, *self.mounts, "--"]
        return [str(word) for word in [*new, *script, *self.inside([*self.config["Entrypoint"], *command])]]

    def __enter__(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.first(self.config["Cmd"]), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def __exit__(self, *_):
        # All its processes end with the first one.
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def pid(self):
        """Its first process, as it is called out here; nothing once it has ended."""
        try:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        except OSError:
            return None
        return int(children[0]) if children else None

    def exec(self, command, **options):
        """Like `docker exec`: exit code and output."""
        into = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--root", "--wd=/"]
        words = [str(word) for word in [*into, *self.inside(command)]]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **options)
        return done.returncode, done.stdout + done.stderr

    def run(self, command):
        """Like `docker run --rm --volumes-from` this one, which does not run: with the entry point."""
        done = subprocess.run(self.first(command), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout + done.stderr

    def processes(self):
        """All of its processes, with what /proc says of each: by their ids out here."""
        found, own = {}, os.readlink(f"/proc/{self.pid}/ns/pid")
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.readlink(entry / "ns/pid") == own:
                    lines = (entry / "status").read_text().splitlines()
                    found[int(entry.name)] = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
            except OSError:
                continue
        return found

    def stop(self):
        """Like `docker stop --time 45`: the exit code, which is that of SIGKILL for one that did not end."""
        os.kill(self.pid, signal.SIGTERM)
        try:
            return self.process.wait(45)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
