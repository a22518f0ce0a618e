# SPDX-License-Identifier: MIT
"""
Who keeps how much alive: the dominator tree of a dump's objects.

Object A dominates B when every way from the roots to B leads through A: were A unreachable, B would
be garbage. What A retains is itself and all it dominates. Lengauer and Tarjan, "A Fast Algorithm for
Finding Dominators in a Flowgraph", 1979, the simple form; without recursion, for lists are deep.
"""

ROOT = 0  # number of the root of all roots; objects are numbered from 1 in depth-first order


class Retained:
    """The tree. `address`, `dominator` and `retained` are by number; `children` too."""

    def __init__(self, dump):
        self.sizes = dump.object_sizes()
        roots = sorted({address for addresses in dump.roots.values() for address in addresses} & self.sizes.keys())
        self.address, parent, predecessors = _depth_first(roots, dump.targets)
        self.dominator = _dominators(parent, predecessors)
        self.retained = [self.sizes.get(address, 0) for address in self.address]
        self.children = [[] for _ in self.address]
        for i in range(len(self.address) - 1, 0, -1):
            self.retained[self.dominator[i]] += self.retained[i]
            self.children[self.dominator[i]].append(i)
        for children in self.children:
            children.sort(key=lambda i: (-self.retained[i], self.address[i]))

    def reached_objects(self):
        return len(self.address) - 1

    def unreached_bytes(self):
        """Of listed objects that no root of the dump leads to: garbage that no cycle has found yet."""
        return sum(self.sizes.values()) - self.retained[ROOT]

    def biggest(self, most):
        """The numbers of the objects at the top that retain most."""
        return self.children[ROOT][:most]

    def dominated_objects(self, number):
        """How many objects a tree has, itself included."""
        count, waiting = 0, [number]
        while waiting:
            count += 1
            waiting.extend(self.children[waiting.pop()])
        return count

    def chain(self, number):
        """The numbers from here down as long as each has only one child: a list has one node after another."""
        numbers = [number]
        while len(self.children[numbers[-1]]) == 1:
            numbers.append(self.children[numbers[-1]][0])
        return numbers


def _depth_first(roots, targets):
    """Numbers objects in depth-first order: addresses, parents and predecessors by number."""
    number, address, parent, predecessors = {}, [None], [0], [[]]
    waiting = [(ROOT, root) for root in reversed(roots)]
    while waiting:
        source, here = waiting.pop()
        if here in number:
            predecessors[number[here]].append(source)
            continue
        number[here] = mine = len(address)
        address.append(here)
        parent.append(source)
        predecessors.append([source])
        waiting.extend((mine, target) for target in reversed(targets[here]) if target in targets)
    return address, parent, predecessors


def _dominators(parent, predecessors):
    count = len(parent)
    semi, label, ancestor = list(range(count)), list(range(count)), [-1] * count
    dominator, buckets = [0] * count, [[] for _ in range(count)]

    def best(v):
        """The vertex of least semidominator on the way up from v, paths compressed."""
        path = []
        while ancestor[v] != -1 and ancestor[ancestor[v]] != -1:
            path.append(v)
            v = ancestor[v]
        for w in reversed(path):
            above = ancestor[w]
            if semi[label[above]] < semi[label[w]]:
                label[w] = label[above]
            ancestor[w] = ancestor[above]
        return label[path[0] if path else v]

    for i in range(count - 1, 0, -1):
        for v in predecessors[i]:
            semi[i] = min(semi[i], semi[best(v)])
        buckets[semi[i]].append(i)
        ancestor[i] = parent[i]
        for v in buckets[parent[i]]:
            u = best(v)
            dominator[v] = u if semi[u] < semi[v] else parent[i]
        buckets[parent[i]] = []
    for i in range(1, count):
        if dominator[i] != semi[i]:
            dominator[i] = dominator[dominator[i]]
    return dominator
