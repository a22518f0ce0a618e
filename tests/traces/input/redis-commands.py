# SPDX-License-Identifier: MIT
"""The redis trace: what clients of a cache and a job queue send. Values of mixed sizes set, read and
replaced, hashes, lists, sorted sets and sets that grow and change their encoding, keys given to the
server's background thread to free (UNLINK, FLUSHALL ASYNC), and a last round after that.
Prints commands for `redis-cli`, one a line; the same ones at every run."""

KEYS = 16


def values():
    for i in range(1500):
        print(f"SET page:{i} {'v' * (i * 37 % 900)}")
    for i in range(0, 1500, 3):
        print(f"APPEND page:{i} {'w' * (i % 200)}")
    for i in range(0, 1500, 5):
        print(f"GET page:{i}")


def collections():
    for h in range(KEYS):
        for field in range(0, 400, 20):
            fields = " ".join(f"f{field + j} value-{h * (field + j)}" for j in range(20))
            print(f"HSET user:{h} {fields}")
        print(f"RPUSH queue:{h} " + " ".join(f"job-{h}-{'x' * (j % 90)}" for j in range(150)))
        print(f"ZADD rank:{h} " + " ".join(f"{j * 7919 % 1000} player{j}" for j in range(200)))
        print(f"SADD tags:{h} " + " ".join(f"tag{j * h % 331}" for j in range(100)))


def work():
    for h in range(KEYS):
        print(f"LPOP queue:{h} 100")
        print(f"ZRANGEBYSCORE rank:{h} 100 300")
        print(f"SUNIONSTORE all tags:{h} tags:{(h + 1) % KEYS} all")
        print(f"HDEL user:{h} " + " ".join(f"f{j}" for j in range(0, 400, 7)))


def main():
    values()
    collections()
    work()
    print("UNLINK " + " ".join(f"user:{h} rank:{h} queue:{h}" for h in range(0, KEYS, 2)))
    values()
    print("FLUSHALL ASYNC")
    collections()
    print("DBSIZE")


main()
