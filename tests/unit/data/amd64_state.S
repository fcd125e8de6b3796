/* Sets every register of an x86-64 CPU with AVX-512 to a value that tests/unit/amd64_state.py knows, then stops at int3.
   It asks its parent to trace it, and ends by itself after 20 seconds.
   Linked high, so that the x87 pointers have upper halves:
   cc -nostdlib -static -Wl,-Ttext-segment=0x123400000000 -o amd64_state amd64_state.S */
        .altmacro
        .macro  zmm_row i
        .set    j, 0
        .rept   64
        .byte   (7 * \i + j) & 255
        .set    j, j + 1
        .endr
        .endm
        .macro  load_zmm i
        vmovdqu64 64*\i(%rax), %zmm\i
        .endm
        .macro  load_k i
        kmovq   8*\i(%rax), %k\i
        .endm

        .text
        .globl  _start
_start: mov     $37, %eax               /* alarm(20) */
        mov     $20, %edi
        syscall
        mov     $101, %eax              /* ptrace(PTRACE_TRACEME), which fails under a debugger */
        mov     $0, %edi
        syscall
        fninit
        fldcw   control_word(%rip)
        ldmxcsr mxcsr(%rip)
        fldt    denormal(%rip)
        fldt    infinity(%rip)
        fldz
        fldpi
        fld1
        /* An exception that stays pending: AMD's CPUs save the x87 pointers only then. */
        .globl  last_x87
last_x87:
        fdivs   zero(%rip)
        lea     rows(%rip), %rax
        .set    i, 0
        .rept   32
        load_zmm %i
        .set    i, i + 1
        .endr
        lea     masks(%rip), %rax
        .set    i, 0
        .rept   8
        load_k  %i
        .set    i, i + 1
        .endr
        mov     $0x1111111111111101, %rax
        mov     $0x1111111111111102, %rbx
        mov     $0x1111111111111103, %rcx
        mov     $0x1111111111111104, %rdx
        mov     $0x1111111111111105, %rsi
        mov     $0x1111111111111106, %rdi
        mov     $0x1111111111111107, %rbp
        mov     $0x1111111111111108, %rsp
        mov     $0x1111111111111109, %r8
        mov     $0x111111111111110a, %r9
        mov     $0x111111111111110b, %r10
        mov     $0x111111111111110c, %r11
        mov     $0x111111111111110d, %r12
        mov     $0x111111111111110e, %r13
        mov     $0x111111111111110f, %r14
        mov     $0x1111111111111110, %r15
        std
        int3
        .globl  stopped
stopped:
        hlt

        .data
        .balign 64
rows:   .set    i, 0
        .rept   32
        zmm_row %i
        .set    i, i + 1
        .endr
masks:  .set    i, 1
        .rept   8
        .quad   0x0102030405060708 * i
        .set    i, i + 1
        .endr
infinity:
        .quad   0x8000000000000000
        .short  0x7fff
denormal:
        .quad   0x0000000000000001
        .short  0
        .globl  zero
zero:   .long   0
control_word:
        .short  0x027b
mxcsr:  .long   0x9f80
        .section .note.GNU-stack,"",@progbits
