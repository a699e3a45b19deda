"""A Debian machine with systemd, booted in namespaces of its own (processes, mounts, cgroups, names), for as long as a test file runs:
what an administrator types is typed there. The network is this machine's, so that what listens there is on loopback. Its files are those
that mmdebstrap makes (`./test` does that), with this machine's Node.js beside them.

Needs root, and a kernel that lets root mount cgroups and make namespaces.
"""

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path

import images

# Arguments: the root, then the cgroup that is the machine's own.
SCRIPT = """set -eu
root=$1
echo 0 >"$2/cgroup.procs"
exec unshare --cgroup sh -eu -c '
  cd "$1"
  mount --bind . .
  cd "$1"
  mount -t proc proc proc
  mount --bind proc/sys proc/sys
  mount -o remount,bind,ro proc/sys
  mount -t sysfs -o ro sysfs sys
  mount -t cgroup2 cgroup sys/fs/cgroup
  mount -t tmpfs -o mode=0755 dev dev
  for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
  ln -s /proc/self/fd dev/fd; ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout; ln -s fd/2 dev/stderr
  mkdir dev/pts dev/shm
  mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
  ln -s pts/ptmx dev/ptmx
  mount -t tmpfs -o mode=1777 shm dev/shm
  mount -t tmpfs -o mode=0755 run run
  mkdir -p .old
  pivot_root . .old
  umount -l .old
  exec env -i container=portunus-test PATH=/usr/sbin:/usr/bin setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio,-syslog \
    /usr/lib/systemd/systemd --system --unit=portunus-test.target --log-target=console --show-status=no
' sh "$root"
"""
# Nothing that is timed or that looks after devices: what a unit can count on, and no more.
TARGET = "[Unit]\nDescription=What the tests need\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n"


class Machine:
    """`run` is what root types."""

    def __init__(self):
        self.root = images.FOLDER / "machine"
        self.log = images.FOLDER / "machine.log"
        self.cgroups, self.cgroup = images.FOLDER / "cgroups", f"portunus-test-{os.getpid()}"

    def unpack(self):
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)
        subprocess.run(["tar", "-C", self.root, "-xf", images.FOLDER / "machine.tar", "--exclude=./dev/*"], check=True, timeout=120)
        (self.root / "etc/systemd/system/portunus-test.target").write_text(TARGET)
        (self.root / "etc/hostname").write_text("portunus-test\n")
        (self.root / "etc/hosts").write_text("127.0.0.1 localhost portunus-test\n::1 localhost\n")
        (self.root / "etc/machine-id").write_text("")
        node, npm = (Path(shutil.which(name)).resolve() for name in ("node", "npm"))
        shutil.copy(node, self.root / "usr/local/bin/node")
        shutil.copytree(npm.parents[1], self.root / "usr/local/lib/node_modules/npm", symlinks=True)
        for name in ("npm", "npx"):
            (self.root / f"usr/local/bin/{name}").symlink_to(f"../lib/node_modules/npm/bin/{name}-cli.js")

    def __enter__(self):
        with contextlib.ExitStack() as ends:
            self.unpack()
            ends.callback(shutil.rmtree, self.root)
            self.cgroups.mkdir(exist_ok=True)
            subprocess.run(["mount", "-t", "cgroup2", "cgroup", self.cgroups], check=True, timeout=20)
            ends.callback(subprocess.run, ["umount", self.cgroups], check=True, timeout=20)
            (self.cgroups / self.cgroup).mkdir()
            ends.callback(self.remove_cgroups)
            new = ["unshare", "--mount", "--propagation=private", "--pid", "--uts", "--ipc", "--fork"]
            command = [*new, "sh", "-c", SCRIPT, "sh", self.root, self.cgroups / self.cgroup]
            with self.log.open("wb") as log:
                self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            ends.callback(self.power_off)
            self.wait_until_booted()
            self.ends = ends.pop_all()
        return self

    def __exit__(self, *_):
        self.ends.close()

    def wait_until_booted(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.pid and self.run("systemctl is-active portunus-test.target")[0] == 0:
                return
            time.sleep(0.1)
        raise AssertionError(f"systemd does not start here:\n{self.log.read_text()[-4000:]}")

    @property
    def pid(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0]) if children else None

    def power_off(self):
        """All its processes end with the first one."""
        if self.process.poll() is None and self.pid:
            os.kill(self.pid, 9)
        self.process.wait()

    def remove_cgroups(self):
        """From the innermost; the kernel lets go of one a moment after its last process."""
        own = self.cgroups / self.cgroup
        for folder in sorted([own, *(path for path in own.rglob("*") if path.is_dir())], key=lambda path: -len(path.parts)):
            deadline = time.monotonic() + 10
            while folder.exists() and time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    folder.rmdir()
                time.sleep(0.01)

    def run(self, line, folder="/", timeout=100):
        """What bash makes of a line there: exit code and output."""
        namespaces = ["--mount", "--pid", "--uts", "--ipc", "--cgroup", "--root"]
        into = ["nsenter", f"--target={self.pid}", *namespaces, f"--wd=/proc/{self.pid}/root{folder}"]
        environment = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "HOME=/root", "LANG=C.UTF-8"]
        command = [*into, *environment, "bash", "-o", "pipefail", "-c", line]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout + done.stderr
