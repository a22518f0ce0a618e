# SPDX-License-Identifier: MIT
"""
Restartable sequences, as the compilers and assemblers have left them in the library's objects.

For every entry {start, commit} of the section bh_restart_table:

1. The commit is one instruction, the only one that stores what others look at, and the last. It moves
   a top or a next, loaded through the core's base, in the very place from which that was loaded:
   a push by 8 up, a pop, which has looked at what top points to, by 8 down, a bump by the step 16
   bytes behind.
2. Before it at most one store is made, to the slot above the bin's top: 8 bytes above the top that
   the commit moves.
3. What the sequence reads before it has written it (registers, flags) it does not write before the
   commit: it is the input, and wanted again after a restart.
4. The core's base is read inside, once: after a restart it may be another core's.
5. There is no call; branches go out of the sequence; none leads into it but to its start.

For 1 and 2 addresses and values are followed from the start as sums of what the registers were then
and of what was loaded from where. An instruction that the tables below do not know is a finding: add it with
what it reads and writes.
Before it looks at the library, the check looks at the sequences of restart_cases.py, broken
on purpose, each of which it must reject.
"""

import collections
import dataclasses
import glob
import os
import re
import subprocess
import tempfile

from checks.compilers import CLANG, compile_library
from checks.restart_cases import CASES

SECTION, TABLE = "bh_restart", "bh_restart_table"
FLAGS = "flags"

# An expression is a sum {register: factor}; it may have these terms too.
ONE, CORE, MEMORY = "one", "core", "memory"  # a constant; the core's register; what the instruction has loaded

LINE = re.compile(r"^\s*([0-9a-f]+):\t(\S+)(?:\s+(.*))?$")
COMMENT = re.compile(r"\s+(?:# |// ).*")  # of objdump: x86-64, AArch64
RELOCATION = re.compile(r"^([0-9a-f]+)\s+R_\S+\s+" + SECTION + r"(?:\+0x([0-9a-f]+))?\s*$", re.M)


@dataclasses.dataclass
class Instruction:
    """What one instruction does, as far as the rules ask."""

    address: int
    text: str
    reads: set = dataclasses.field(default_factory=set)  # registers, and FLAGS
    writes: set = dataclasses.field(default_factory=set)
    place: dict | None = None  # the address of the memory that it reads or writes
    loads: bool = False
    stores: bool = False
    stored: dict | None = None  # what it writes there; None: something else than all the others
    results: dict = dataclasses.field(default_factory=dict)  # register -> what it is set to, where a sum tells
    reads_core: bool = False
    target: int = -1  # of a branch; -1 for none
    unknown: bool = False


# --- x86-64, as objdump spells it (AT&T) ----------------------------------------------------------

X86_LOW = {"al": "rax", "bl": "rbx", "cl": "rcx", "dl": "rdx", "sil": "rsi", "dil": "rdi", "bpl": "rbp", "spl": "rsp"}
X86_REGISTER = re.compile(r"%(\w+)")
X86_MEMORY = re.compile(r"^(?:%(?P<segment>[cdefgs]s):)?(?P<offset>-?0x[0-9a-f]+)?(?:\((?P<inside>[^)]*)\))?$")
X86_BRANCH = re.compile(r"^j[a-z]+$")
X86_WRITES_LAST = {"mov", "movq", "movabs", "movzbl", "lea"}  # the last operand is only written
X86_CHANGES_LAST = {"add", "addq", "sub", "subq", "inc", "dec", "and", "or", "xor", "shl", "shr"}
X86_COMPARES = {"cmp", "cmpq", "test", "testq"}


def x86_register(name):
    if name in X86_LOW:
        return X86_LOW[name]
    if re.fullmatch(r"r\d+[dwb]?", name):
        return name.rstrip("dwb")
    return "r" + name[-2:]


def x86_operands(text):
    return [o.strip() for o in re.split(r",(?![^(]*\))", text)] if text else []


def x86_decode(address, mnemonic, text):
    found = Instruction(address, f"{mnemonic} {text}".strip())
    operands = x86_operands(text)
    if X86_BRANCH.match(mnemonic) and re.match(r"[0-9a-f]+ ?", text):
        found.target = int(text.split()[0], 16)
        found.reads = set() if mnemonic == "jmp" else {FLAGS}
        return found
    if mnemonic not in X86_WRITES_LAST | X86_CHANGES_LAST | X86_COMPARES or not operands:
        found.unknown = True
        return found
    for number, operand in enumerate(operands):
        last = number == len(operands) - 1
        x86_take_operand(found, operand, written=last and mnemonic not in X86_COMPARES,
                         read=not last or mnemonic not in X86_WRITES_LAST, is_address=mnemonic == "lea")
    x86_take_result(found, mnemonic, operands)
    if mnemonic in X86_COMPARES | X86_CHANGES_LAST:
        found.writes.add(FLAGS)
    return found


def x86_take_operand(found, operand, written, read, is_address):
    if operand.startswith("$"):
        return
    if re.fullmatch(r"%\w+", operand):
        register = x86_register(operand[1:])
        found.reads |= {register} if read else set()
        found.writes |= {register} if written else set()
        return
    memory = X86_MEMORY.match(operand)
    if not memory:
        found.unknown = True
        return
    inside = (memory["inside"] or "").split(",")
    registers = [x86_register(r) for r in X86_REGISTER.findall(memory["inside"] or "")]
    factors = [1, int(inside[2]) if len(inside) > 2 else 1]
    found.reads |= set(registers)
    found.reads_core |= bool(memory["segment"])
    found.place = add({CORE: 1} if memory["segment"] else {}, {ONE: int(memory["offset"] or "0", 16)},
                      *({register: factor} for register, factor in zip(registers, factors)))
    found.loads |= read and not is_address
    found.stores |= written


def x86_take_result(found, mnemonic, operands):
    """What a move, an address or a sum of 64 bits leaves behind."""
    source, target = (x86_expression(found, operand) for operand in (operands[0], operands[-1]))
    if mnemonic == "lea":
        source = found.place
    elif mnemonic.startswith(("add", "sub")) and source is not None and target is not None:
        source = add(target, {name: -factor if mnemonic.startswith("sub") else factor
                              for name, factor in source.items()})
    elif mnemonic not in ("mov", "movq"):
        source = None
    if found.stores:
        found.stored = source
    elif found.writes and target is not None:
        found.results[x86_register(operands[-1][1:])] = source


def x86_expression(found, operand):
    if operand.startswith("$"):
        return {ONE: int(operand[1:], 16)}
    if not operand.startswith("%") or ":" in operand:
        return {MEMORY: 1} if found.place is not None else None
    whole = re.fullmatch(r"%r(\d+|[a-ds][xip]|[sd]i|bp)", operand)
    return {x86_register(operand[1:]): 1} if whole else None


# --- AArch64 --------------------------------------------------------------------------------------

ARM_REGISTER = re.compile(r"\b[xw](\d+|zr)\b|\bsp\b")
ARM_COMPUTES = {"add", "sub", "mov", "lsl", "lsr", "and", "orr", "eor"}
ARM_LOADS = {"ldr", "ldrb", "ldur"}
ARM_STORES = {"str", "stur"}


def arm_registers(text):
    found = (m[0] for m in ARM_REGISTER.finditer(text))
    return ["x" + name[1:] if name != "sp" else name for name in found if not name.endswith("zr")]


def arm_decode(address, mnemonic, text):
    found = Instruction(address, f"{mnemonic} {text}".strip())
    registers = arm_registers(text)
    if mnemonic in ARM_LOADS | ARM_STORES and "[" in text:
        arm_take_memory(found, mnemonic, text, registers)
    elif mnemonic == "mrs" and registers:
        found.writes, found.reads_core = {registers[0]}, True
        found.results = {registers[0]: {CORE: 1}}
    elif mnemonic in ARM_COMPUTES and registers:
        found.writes, found.reads = {registers[0]}, set(registers[1:])
        found.results = {registers[0]: arm_sum(mnemonic, text)}
    elif mnemonic == "cmp":
        found.reads, found.writes = set(registers), {FLAGS}
    elif mnemonic == "b" or mnemonic.startswith("b."):
        found.target = int(text.split()[0], 16)
        found.reads = set() if mnemonic == "b" else {FLAGS}
    elif mnemonic in ("cbz", "cbnz", "tbz", "tbnz"):
        found.target = int(text.split(",")[-1].split()[0], 16)
        found.reads = {registers[0]}
    else:
        found.unknown = True
    return found


def arm_sum(mnemonic, text):
    """What add, sub and mov of 64 bits compute; None for others."""
    operands = [operand.strip() for operand in text.split(",")][1:]
    parts = arm_expressions(operands)
    if mnemonic not in ("add", "sub", "mov") or parts is None or re.match(r"w\d", text):
        return None
    if mnemonic == "sub":
        parts[1:] = [{name: -factor for name, factor in part.items()} for part in parts[1:]]
    return add(*parts)


def arm_expressions(operands):
    """Of ["x2", "x1", "lsl #3"]: {x2: 1}, {x1: 8}; None when a part is of another form."""
    found = []
    for operand in operands:
        if re.fullmatch(r"x\d+|sp", operand):
            found.append({operand: 1})
        elif re.fullmatch(r"#-?\w+", operand):
            found.append({ONE: int(operand[1:], 0)})
        elif found and re.fullmatch(r"lsl #\d+", operand):
            found[-1] = {name: factor << int(operand[5:]) for name, factor in found[-1].items()}
        else:
            return None
    return found


def arm_take_memory(found, mnemonic, text, registers):
    moved, inside = registers[0], re.search(r"\[([^]]*)\](!?),?(.*)", text)
    address = arm_registers(inside[1])
    parts = arm_expressions([operand.strip() for operand in inside[1].split(",")])
    found.reads = set(address)
    found.place = add(*parts) if parts else None
    if inside[2] or inside[3]:  # [base, #offset]! and [base], #offset write the base
        found.writes.add(address[0])
        step = arm_expressions([inside[3].strip()]) if inside[3] else []
        found.results[address[0]] = add(found.place, *step) if parts and step is not None else None
    found.loads, found.stores = mnemonic in ARM_LOADS, mnemonic in ARM_STORES
    whole = text.startswith("x") and not mnemonic.endswith("b")
    if found.loads:
        found.writes.add(moved)
        found.results[moved] = {MEMORY: 1} if whole else None
    else:
        found.reads.add(moved)
        found.stored = {moved: 1} if whole else None


# --- The rules ------------------------------------------------------------------------------------


def judge_registers(sequence):
    """Rule 3. `sequence` is all of it, the commit last."""
    inputs, written = set(), set()
    for instruction in sequence:
        inputs |= instruction.reads - written
        written |= instruction.writes
    findings = []
    if FLAGS in inputs:
        findings.append("reads flags that were set before its start")
    for instruction in sequence[:-1]:
        for register in sorted(instruction.writes & inputs - {FLAGS}):
            findings.append(f"destroys its input {register} before the commit: {instruction.text}")
    return findings


def stores_of(sequence):
    """([(instruction, address, what is stored there)], {addresses loaded from}), as values: what
    value() makes of an expression."""
    registers, stores, loaded = {}, [], set()
    for instruction in sequence:
        place = value(instruction, instruction.place, registers, None)
        memory = load(place)
        if instruction.loads:
            loaded.add(place)
        if instruction.stores:
            stores.append((instruction, place, value(instruction, instruction.stored, registers, memory)))
        results = {register: value(instruction, instruction.results.get(register), registers, memory)
                   for register in instruction.writes}
        registers.update(results)
    return stores, loaded


def value(instruction, expression, registers, memory):
    """The sum as a set {(term, factor)}. Terms are ONE, CORE, registers as they were at the start and
    (MEMORY, the address it was loaded from); something else is a term of its own."""
    if expression is None:
        return frozenset({(("unknown", instruction.address), 1)})
    total = {}
    for name, factor in expression.items():
        part = memory if name == MEMORY else registers.get(name, {(name, 1)})
        total = add(total, {term: times * factor for term, times in part})
    return frozenset(total.items())


def add(*sums):
    total = collections.Counter()
    for terms in sums:
        total.update(terms)
    return {term: factor for term, factor in total.items() if factor}


def moved(whole, by):
    return frozenset(add(dict(whole), {ONE: by}).items())


def load(place):
    return frozenset({((MEMORY, place), 1)})


def is_through_base(place):
    """Whether the address was made of something loaded from what the core's register points to."""
    return any(factor == 1 and term[0] == MEMORY and (dict(term[1]).get(CORE) == 1 or is_through_base(term[1]))
               for term, factor in place if isinstance(term, tuple))


def judge_stores(sequence):
    """Rules 1 and 2."""
    stores, loaded = stores_of(sequence)
    if not stores or stores[-1][0] is not sequence[-1]:
        findings = [f"its commit stores nothing: {sequence[-1].text}"]
        top = None
    else:
        commit, place, stored = stores.pop()
        top = load(place)
        findings = judge_commit(commit, place, stored, loaded, bool(stores))
    for instruction, place, _ in stores:
        if top is None or place != moved(top, 8) or instruction.loads or instruction.stored is None:
            findings.append(f"writes memory before the commit: {instruction.text}")
    if len(stores) > 1:
        findings.append("makes more than one store before the commit")
    return findings


def judge_commit(commit, place, stored, loaded, is_push):
    """Rule 1: place is where top or next is, and its new value is that of a push, a pop or a bump."""
    top = load(place)
    step = dict(load(moved(place, 16)))
    is_pop = top in loaded and stored == moved(top, -8)
    is_bump = stored == frozenset(add(dict(top), step).items())
    if is_through_base(place) and (stored == moved(top, 8) if is_push else is_pop or is_bump):
        return []
    return [f"its commit does not move what was loaded there: {commit.text}"]


def judge_flow(sequence):
    """Rules 4 and 5."""
    first, last = sequence[0].address, sequence[-1].address
    findings = []
    if sum(i.reads_core for i in sequence) != 1:
        findings.append("does not read the core's base exactly once")
    for instruction in sequence:
        if instruction.unknown:
            findings.append(f"has an instruction that tools/checks/restart.py does not know: {instruction.text}")
        if instruction.target >= 0 and first <= instruction.target <= last:
            findings.append(f"branches to itself: {instruction.text}")
    return findings


def judge_sequence(instructions, start, commit):
    sequence = [i for i in instructions if start <= i.address <= commit]
    if start >= commit or not sequence or sequence[0].address != start or sequence[-1].address != commit:
        return ["its entry does not name two instructions, the start first"]
    findings = judge_flow(sequence) + judge_registers(sequence) + judge_stores(sequence)
    findings += [f"is entered in the middle: {i.text}" for i in instructions
                 if start < i.target <= commit and not start <= i.address <= commit]
    return findings


# --- Objects --------------------------------------------------------------------------------------


def objdump(cpu, *arguments):
    cross = "" if os.uname().machine == cpu else f"{cpu}-linux-gnu-"
    return subprocess.run([f"{cross}objdump", *arguments], capture_output=True, text=True, check=False).stdout


def table_of(cpu, path):
    """[(start, commit)]: of each entry the offsets in the section, from the relocations."""
    text = objdump(cpu, "-r", "-j", TABLE, path)
    offsets = {int(at, 16): int(offset or "0", 16) for at, offset in RELOCATION.findall(text)}
    others = len(re.findall(r"^[0-9a-f]+\s+R_", text, re.M)) - len(offsets)
    if others or sorted(offsets) != list(range(0, 4 * len(offsets), 4)) or len(offsets) % 2:
        return None
    return [(offsets[at], offsets[at + 4]) for at in range(0, 4 * len(offsets), 8)]


def instructions_of(cpu, path):
    decode = x86_decode if cpu == "x86_64" else arm_decode
    found = []
    for line in objdump(cpu, "-d", "--no-show-raw-insn", "-j", SECTION, path).splitlines():
        match = LINE.match(line)
        if match:
            found.append(decode(int(match[1], 16), match[2], COMMENT.sub("", match[3] or "").strip()))
    return found


def judge_object(cpu, path):
    """(findings, number of sequences)"""
    table = table_of(cpu, path)
    if table is None:
        return [f"{TABLE} has entries that are no pairs of offsets into {SECTION}"], 0
    instructions = instructions_of(cpu, path)
    findings = []
    for start, commit in table:
        findings += [f"the sequence at {start:#x} {f}" for f in judge_sequence(instructions, start, commit)]
    for instruction in instructions:
        if instruction.reads_core and not any(s <= instruction.address <= c for s, c in table):
            findings.append(f"at {instruction.address:#x} the core's base is read outside of all sequences")
    return findings, len(table)


# --- The check, and its own ------------------------------------------------------------------------


def judge_case(cpu, text):
    """The findings in a case, assembled."""
    compiler = ["gcc" if os.uname().machine == cpu else f"{cpu}-linux-gnu-gcc", "-c", "-x", "assembler", "-"]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "case.o")
        source = (f'.section {SECTION}, "ax"\ncase:\n{text}\nret\nout: ret\n'
                  f'.section {TABLE}, "a"\n.long start - ., commit - .\n')
        subprocess.run([*compiler, "-o", path], input=source, text=True, check=True)
        return judge_object(cpu, path)[0]


def check_cases():
    findings = []
    for cpu, name, expected, text in CASES:
        found = judge_case(cpu, text)
        if (not expected and found) or (expected and not any(expected in f for f in found)):
            findings.append(f"tools/checks/restart_cases.py: {cpu}: {name}: expected "
                            f"{expected or 'no finding'!r}, found {found}")
    return findings


def check_library(cpu, arch, compiler, debug):
    folder = compile_library(compiler, arch, CLANG[arch] if compiler == "clang" else None, debug)
    findings, sequences = [], 0
    for path in sorted(glob.glob(f"{folder}/{arch}/obj/alloc/*.o") + glob.glob(f"{folder}/{arch}/obj/gc/*.o")):
        found, count = judge_object(cpu, path)
        sequences += count
        findings += [f"{path}: {f}" for f in found]
    if sequences < 5:
        findings.append(f"{folder}/{arch}: {sequences} restartable sequences; malloc, free and three of the "
                        "collector's must have one each")
    return findings


def check_restart():
    findings = check_cases()
    host = os.uname().machine
    arches = [("x86_64", "x86_64"), ("aarch64", "aarch64")] + ([(host, "host")] if host == "x86_64" else [])
    for cpu, arch in arches:
        for compiler in ("gcc", "clang"):
            for debug in (0, 3):
                findings += check_library(cpu, arch, compiler, debug)
    return findings
