# SPDX-License-Identifier: MIT
"""
Sequences that checks/restart.py must accept, and broken ones that it must reject: (CPU, name, words
of the finding or "" for none, assembly). Label `out` lies behind.
"""

EARLY, COMMIT = "writes memory before the commit", "does not move what was loaded there"

X86_POP = """
start: movq %gs:8, %rcx
   movq (%rcx, %rdx, 8), %rax
   movq (%rax), %rax
   testq %rax, %rax
   jz out
commit: subq $8, (%rcx, %rdx, 8)
"""

X86_PUSH = """
start: movq %gs:8, %rcx
   movq (%rcx, %rsi, 8), %rax
   cmpq %rax, 640(%rcx, %rsi, 8)
   je out
   movq %rdi, 8(%rax)
commit: addq $8, (%rcx, %rsi, 8)
"""

X86_BUMP = """
start: movq %gs:8, %rcx
   movq 1280(%rcx, %rdi, 8), %rcx
   testq %rcx, %rcx
   jz out
   movq (%rcx, %rsi, 8), %rax
   cmpq 8(%rcx, %rsi, 8), %rax
   je out
   movq 16(%rcx, %rsi, 8), %rdx
commit: addq %rdx, (%rcx, %rsi, 8)
"""

ARM_POP = """
start: mrs x3, tpidr_el1
   ldr x3, [x3, #8]
   ldr x4, [x3, x2, lsl #3]
   ldr x0, [x4], #-8
   cbz x0, out
commit: str x4, [x3, x2, lsl #3]
"""

ARM_PUSH = """
start: mrs x2, tpidr_el1
   ldr x2, [x2, #8]
   add x2, x2, x1, lsl #3
   ldr x3, [x2]
   ldr x4, [x2, #640]
   cmp x3, x4
   b.eq out
   str x0, [x3, #8]!
commit: str x3, [x2]
"""

ARM_BUMP = """
start: mrs x2, tpidr_el1
   ldr x2, [x2, #8]
   ldr x2, [x2, x4, lsl #3]
   cbz x2, out
   add x2, x2, x1, lsl #3
   ldr x0, [x2]
   ldr x3, [x2, #8]
   cmp x0, x3
   b.eq out
   ldr x3, [x2, #16]
   add x3, x3, x0
commit: str x3, [x2]
"""


def broken(good, old, new):
    assert good.count(old) == 1, (good, old)
    return good.replace(old, new)


X86_CASES = (
    ("pop", "", X86_POP),
    ("push", "", X86_PUSH),
    ("bump", "", X86_BUMP),
    ("the row is destroyed", "destroys its input rdi", broken(X86_BUMP, "   testq", "   movq (%rcx), %rdi\n   testq")),
    ("the end moves too", EARLY, broken(X86_BUMP, "commit:", "   addq %rdx, 8(%rcx, %rsi, 8)\ncommit:")),
    ("the class is destroyed", "destroys its input rdx", broken(X86_POP, "%rax\n   testq", "%rdx\n   testq")),
    ("the low half of an input is destroyed", "destroys its input rdi",
     broken(X86_PUSH, "8(%rax)", "8(%rax)\n   movl $0, %edi")),
    ("an input is stepped", "destroys its input rdx", broken(X86_POP, "   testq", "   inc %rdx\n   testq")),
    ("the core's base comes from before", "exactly once",
     broken(X86_POP, "start: movq %gs:8, %rcx\n   movq (%rcx, %rdx, 8), %rax", "start: movq (%rcx, %rdx, 8), %rax")),
    ("flags come from before", "flags", broken(X86_POP, "   testq %rax, %rax\n", "")),
    ("two commits", EARLY,
     broken(X86_POP, "commit: subq", "   subq $8, 640(%rcx, %rdx, 8)\ncommit: subq")),
    ("a store elsewhere", EARLY, broken(X86_PUSH, "8(%rax)", "(%rax)")),
    ("a store by an address from before", EARLY, broken(X86_PUSH, "8(%rax)", "8(%rdi)")),
    ("a store into the core's own", EARLY,
     broken(X86_POP, "   testq", "   movq %rax, %gs:16\n   testq")),
    ("a store above the bins", EARLY, broken(X86_PUSH, "8(%rax)", "8(%rcx)")),
    ("a store to the next class's top", EARLY, broken(X86_PUSH, "8(%rax)", "8(%rcx, %rsi, 8)")),
    ("a store by an index", EARLY, broken(X86_PUSH, "8(%rax)", "8(%rax, %rsi, 8)")),
    ("a store above another bin's top", EARLY,
     broken(X86_PUSH, "   movq %rdi, 8(%rax)", "   movq 8(%rcx, %rsi, 8), %rax\n   movq %rdi, 8(%rax)")),
    ("a store above an object", EARLY, broken(X86_POP, "commit:", "   movq %rdx, 8(%rax)\ncommit:")),
    ("a store above the cursors", EARLY, broken(X86_BUMP, "   movq 16", "   movq %rax, 8(%rcx)\n   movq 16")),
    ("a store to the cursor's end", EARLY,
     broken(X86_BUMP, "   movq 16", "   movq %rax, 8(%rcx, %rsi, 8)\n   movq 16")),
    ("half an object is stored", EARLY, broken(X86_PUSH, "movq %rdi", "movl %edi")),
    ("a pop moves the end", COMMIT, broken(X86_POP, "$8, (%rcx", "$8, 640(%rcx")),
    ("a push moves the end", EARLY, broken(X86_PUSH, "$8, (%rcx", "$8, 640(%rcx")),
    ("a bump moves the end", COMMIT, broken(X86_BUMP, "%rdx, (%rcx", "%rdx, 8(%rcx")),
    ("another class's top", COMMIT, broken(X86_POP, "$8, (%rcx, %rdx, 8)", "$8, (%rcx, %rdx, 4)")),
    ("another index's top", COMMIT, broken(X86_POP, "$8, (%rcx, %rdx, 8)", "$8, (%rcx, %rsi, 8)")),
    ("a commit by an address from before", COMMIT, broken(X86_POP, "subq $8, (%rcx, %rdx, 8)", "movq %rax, (%rdx)")),
    ("a commit into the object", COMMIT, broken(X86_POP, "subq $8, (%rcx, %rdx, 8)", "subq $8, (%rax)")),
    ("a pop goes up", COMMIT, broken(X86_POP, "subq", "addq")),
    ("a push goes down", COMMIT, broken(X86_PUSH, "addq", "subq")),
    ("a push stores nothing above top", COMMIT, broken(X86_PUSH, "   movq %rdi, 8(%rax)\n", "")),
    ("a bump by another step", COMMIT, broken(X86_BUMP, "16(%rcx", "24(%rcx")),
    ("two stores above top", "more than one store", broken(X86_PUSH, "commit:", "   movq %rsi, 8(%rax)\ncommit:")),
    ("the commit is a load", "stores nothing", broken(X86_POP, "commit: subq $8, (%rcx, %rdx, 8)", "commit: cmpq $8, (%rcx, %rdx, 8)")),
    ("the commit comes too early", "stores nothing",
     broken(broken(X86_POP, "   testq", "commit: testq"), "commit: subq", "   subq")),
    ("a call", "does not know", broken(X86_POP, "   testq", "   call out\n   testq")),
    ("a push", "does not know", broken(X86_POP, "   testq", "   push %rax\n   testq")),
    ("a loop", "branches to itself", broken(X86_POP, "jz out", "jz start")),
    ("a skip", "branches to itself", broken(X86_POP, "jz out", "jz commit")),
    ("entered in the middle", "entered in the middle", broken(X86_POP, "   testq", "middle: testq") + "   jmp middle\n"),
    ("the slot is read outside", "outside of all sequences", "   movq %gs:8, %rax\n" + X86_POP),
    ("the entry is the wrong way round", "the start first",
     X86_POP.replace("start:", "other:").replace("commit:", "start:").replace("other:", "commit:")),
)

ARM_CASES = (
    ("pop", "", ARM_POP),
    ("push", "", ARM_PUSH),
    ("bump", "", ARM_BUMP),
    ("the row is destroyed", "destroys its input x4", broken(ARM_BUMP, "   cbz", "   ldr x4, [x2]\n   cbz")),
    ("the object is stepped in place", EARLY, broken(ARM_BUMP, "   ldr x3, [x2, #16]", "   str x0, [x2, #16]\n   ldr x3, [x2, #16]")),
    ("the class is destroyed", "destroys its input x2", broken(ARM_POP, "ldr x0, [x4], #-8", "ldr x2, [x4], #-8")),
    ("the low half of an input is destroyed", "destroys its input x0",
     broken(ARM_PUSH, "[x3, #8]!", "[x3, #8]!\n   mov w0, w4")),
    ("an input is stepped by its use", "destroys its input x1", broken(ARM_PUSH, "ldr x3, [x2]", "ldr x3, [x1], #8")),
    ("the core's base comes from before", "exactly once", broken(ARM_POP, "start: mrs x3, tpidr_el1\n   ldr x3", "start: ldr x3")),
    ("flags come from before", "flags", broken(ARM_PUSH, "   cmp x3, x4\n", "")),
    ("two commits", EARLY, broken(ARM_POP, "commit: str", "   str x4, [x3]\ncommit: str")),
    ("a store elsewhere", EARLY, broken(ARM_PUSH, "[x3, #8]!", "[x3, #16]!")),
    ("a store by an address from before", EARLY, broken(ARM_PUSH, "str x0, [x3, #8]!", "str x3, [x0, #8]")),
    ("a store above the bins", EARLY, broken(ARM_PUSH, "str x0, [x3, #8]!", "str x0, [x2, #8]")),
    ("a store to a class's top", EARLY, broken(ARM_PUSH, "str x0, [x3, #8]!", "str x0, [x2], #8")),
    ("a store by an index", EARLY, broken(ARM_PUSH, "str x0, [x3, #8]!", "str x0, [x3, x1, lsl #3]")),
    ("a store above another bin's top", EARLY, broken(ARM_PUSH, "   str x0", "   ldr x3, [x2, #8]\n   str x0")),
    ("a store above an object", EARLY, broken(ARM_POP, "commit:", "   str x2, [x0, #8]\ncommit:")),
    ("a store to the cursor's end", EARLY, broken(ARM_BUMP, "   ldr x3, [x2, #16]", "   str x0, [x2, #8]\n   ldr x3, [x2, #16]")),
    ("half an object is stored", EARLY, broken(ARM_PUSH, "str x0", "str w0")),
    ("a pop moves the end", COMMIT, broken(ARM_POP, "str x4, [x3, x2, lsl #3]", "str x4, [x3, #640]")),
    ("a push moves the end", COMMIT, broken(ARM_PUSH, "str x3, [x2]", "str x3, [x2, #640]")),
    ("a bump moves the end", COMMIT, broken(ARM_BUMP, "str x3, [x2]", "str x3, [x2, #8]")),
    ("another class's top", COMMIT, broken(ARM_POP, "str x4, [x3, x2, lsl #3]", "str x4, [x3, x2]")),
    ("another index's top", COMMIT, broken(ARM_POP, "str x4, [x3, x2, lsl #3]", "str x4, [x3, x1, lsl #3]")),
    ("a commit by an address from before", COMMIT, broken(ARM_POP, "str x4, [x3, x2, lsl #3]", "str x4, [x2]")),
    ("a commit into the object", COMMIT, broken(ARM_POP, "str x4, [x3, x2, lsl #3]", "str x4, [x0]")),
    ("a pop goes up", COMMIT, broken(ARM_POP, "#-8", "#8")),
    ("a push goes down", COMMIT, broken(ARM_PUSH, "[x3, #8]!", "[x3, #8]\n   sub x3, x3, #8")),
    ("a push leaves top", COMMIT, broken(ARM_PUSH, "[x3, #8]!", "[x3, #8]")),
    ("a push stores nothing above top", COMMIT, broken(ARM_PUSH, "str x0, [x3, #8]!", "add x3, x3, #8")),
    ("a bump by another step", COMMIT, broken(ARM_BUMP, "#16", "#24")),
    ("half of top is stored", COMMIT, broken(ARM_PUSH, "commit: str x3", "commit: str w3")),
    ("the commit is a load", "stores nothing", broken(ARM_PUSH, "commit: str x3", "commit: ldr x3")),
    ("a pair is stored", "does not know", broken(ARM_PUSH, "   str x0, [x3, #8]!", "   stp x0, x1, [x3, #8]!")),
    ("a call", "does not know", broken(ARM_POP, "   cbz", "   bl out\n   cbz")),
    ("a store-exclusive", "does not know", broken(ARM_POP, "   cbz", "   stxr w5, x0, [x4]\n   cbz")),
    ("a loop", "branches to itself", broken(ARM_POP, "cbz x0, out", "cbz x0, start")),
    ("entered in the middle", "entered in the middle", broken(ARM_POP, "   cbz", "middle: cbz") + "   b middle\n"),
    ("the slot is read outside", "outside of all sequences", "   mrs x0, tpidr_el1\n" + ARM_POP),
)

CASES = [("x86_64", *case) for case in X86_CASES] + [("aarch64", *case) for case in ARM_CASES]
