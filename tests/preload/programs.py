# SPDX-License-Identifier: MIT
"""
Real programs for selftest.py: what each needs, what it is given and what it does. Everything it does
must come out the same twice: dates, names and seeds are fixed, and what depends on timing is left out.
"""

import collections
import os
import shutil

Program = collections.namedtuple("Program", "name needs prepare script compare_files")
PROGRAMS = []


def program(name, needs, prepare, script, compare_files=False):
    PROGRAMS.append(Program(name, needs.split(), prepare, script, compare_files))


def write(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(text)


def nothing(folder, root):
    pass


def sources(folder, root):
    """A piece of this project, to be compiled and archived."""
    for part in ("include", "arch", "kernel-lib", "alloc"):
        shutil.copytree(os.path.join(root, part), os.path.join(folder, part))


def inputs(*names):
    """Files of tests/traces/input/, and a text."""
    def prepare(folder, root):
        for name in names:
            shutil.copy(os.path.join(root, "tests", "traces", "input", name), folder)
        text = []
        for name in ("README.md", "alloc/README.md", "gc/README.md", "arch/README.md"):
            with open(os.path.join(root, name), encoding="utf-8") as file:
                text.append(file.read())
        write(folder, "text", "".join(text * 5))
    return prepare


def file_of(name, text):
    def prepare(folder, root):
        write(folder, name, text)
    return prepare


COMPILE = 'for file in alloc/[a-p]*.c; do %s -std=gnu11 -O2 -I. -Iinclude -ffreestanding -c "$file"; done'

program("gcc", "gcc", sources, COMPILE % "gcc", compare_files=True)
program("clang", "clang-14", sources, COMPILE % "clang-14", compare_files=True)

CXX = """
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <unordered_map>
int main() {
    std::map<std::string, std::function<int(int)>> table{{"twice", [](int i) { return 2 * i; }}};
    std::unordered_map<int, std::vector<std::string>> more;
    for (int i = 0; i < 100; i++) more[i % 7].push_back(std::to_string(table["twice"](i)));
    std::cout << more[3][2] << more.size() << std::endl;
}
"""
program("g++", "g++", file_of("program.cc", CXX), "g++ -O2 -o program program.cc && ./program && rm program")

program("python3", "python3", inputs("paragraphs.py"),
        "PYTHONMALLOC=malloc python3 -s -S -B paragraphs.py text; python3 -s -S -B paragraphs.py text")

POOL = """
import concurrent.futures, hashlib, json, re, zlib
def work(seed):
    words = [hashlib.sha256(b"%d %d" % (seed, i)).hexdigest() for i in range(2000)]
    packed = zlib.compress(json.dumps(words).encode())
    return len(packed), sum(len(m) for w in words for m in re.findall("[a-f]+", w))
with concurrent.futures.ThreadPoolExecutor(16) as pool:
    print(list(pool.map(work, range(60))))
with concurrent.futures.ProcessPoolExecutor(2) as pool:
    print(list(pool.map(work, range(4))))
"""
program("python3-threads", "python3", file_of("pool.py", POOL), "PYTHONMALLOC=malloc python3 -B pool.py")

program("perl", "perl", inputs("concordance.pl"), "perl concordance.pl text")

GIT = """
git -c init.defaultBranch=main init -q .
git config user.name bareheap; git config user.email bareheap@example.org; git config pack.threads 4
for revision in 1 2 3 4; do
    for file in alloc/*.c kernel-lib/*.c; do sed -i "$((revision * 2))s|^|/* $revision */ |" "$file"; done
    git add -A
    GIT_AUTHOR_DATE="170000000$revision +0000" GIT_COMMITTER_DATE="170000000$revision +0000" git commit -qm "revision $revision"
done
git log --stat -p | sha256sum
git repack -adqf --window=50 --depth=20
git fsck --full
git blame alloc/malloc.c | head -40
git clone -q . ../clone$$ && rm -rf ../clone$$
rm -rf .git
"""
program("git", "git", sources, GIT, compare_files=True)

program("sqlite3", "sqlite3", inputs("orders.sql"), "sqlite3 -init /dev/null :memory: '.read orders.sql'")

NODE = """
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const zlib = require('zlib'), crypto = require('crypto');
function work(seed) {
    const rows = [];
    for (let i = 0; i < 20000; i++) rows.push({ id: i, key: 'k' + (i * seed) % 977, tags: ['a' + i % 7, 'b' + i % 5] });
    const groups = new Map();
    for (const row of rows) { if (!groups.has(row.key)) groups.set(row.key, []); groups.get(row.key).push(row); }
    const text = JSON.stringify([...groups.entries()]);
    return crypto.createHash('sha256').update(zlib.gunzipSync(zlib.gzipSync(text))).digest('hex');
}
if (isMainThread) {
    const results = [];
    for (let seed = 1; seed <= 4; seed++)
        new Worker(__filename, { workerData: seed }).on('message', (m) => {
            results[seed] = m;
            if (Object.keys(results).length === 4) console.log(results);
        });
    console.log(work(9));
} else parentPort.postMessage(work(workerData));
"""
program("node", "node", file_of("work.js", NODE), "node work.js")

program("sort", "sort", inputs(), "tr ' ' '\\n' <text >words; sort --parallel=4 -S 2M words | uniq -c | sort -rn | head -50")

# xz needs no order among its threads, but the sizes of its blocks are given.
program("xz", "xz", inputs(), """
for i in 1 2 3 4 5 6 7 8; do cat text; done >long
xz -T4 --block-size=200KiB -k long; xz -dc -T4 long.xz | cmp - long; rm long""", compare_files=True)

REDIS = """
redis-server --save '' --port 0 --unixsocket socket --io-threads 4 --io-threads-do-reads yes --lazyfree-lazy-user-flush yes >log 2>&1 &
for i in 1 2 3 4 5 6 7 8 9; do [ -S socket ] || sleep 0.2; done
python3 redis-commands.py >commands
redis-cli -s socket <commands >answers
redis-benchmark -s socket -q -t set,get,lpush -n 5000 -P 16 >/dev/null
redis-cli -s socket shutdown nosave
wait
sha256sum answers
"""
program("redis", "redis-server redis-cli redis-benchmark python3", inputs("redis-commands.py"), REDIS)

program("tar-make", "tar make sh", sources, """
printf 'all: a b\\na b:\\n\\ttar cf $@.tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner alloc arch\\n' >Makefile
make -s -j4 && sha256sum *.tar | cut -c1-64 | uniq -c""")

# A process that may have only so much address space, and one that gives memory back at once.
program("limits", "sh python3", nothing, """
(ulimit -v 2000000; python3 -c 'print(len([str(i) for i in range(300000)]))')
BAREHEAP_RESERVE=64M python3 -c 'print(sum(len(b) for b in [bytes(1 << 20) for _ in range(300)]))'
BAREHEAP_RELEASE=eager python3 -c 'print(sum(len([0] * n) for n in range(0, 3000000, 100000)))'""")
