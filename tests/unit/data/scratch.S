/* Maps the memory that tests/unit/scratch.py works with, then stops at int3, traced by its parent.
   It ends by itself after 60 seconds.
   cc -nostdlib -static -o scratch scratch.S */
        .text
        .globl  _start
_start: mov     $37, %eax               /* alarm(60) */
        mov     $60, %edi
        syscall
        mov     $101, %eax              /* ptrace(PTRACE_TRACEME) */
        mov     $0, %edi
        syscall
        lea     areas(%rip), %rbx
next:   mov     $9, %eax                /* mmap */
        mov     0(%rbx), %rdi
        mov     8(%rbx), %rsi
        mov     16(%rbx), %rdx
        mov     $0x100022, %r10d        /* MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE */
        mov     $-1, %r8
        mov     $0, %r9d
        syscall
        cmp     0(%rbx), %rax
        jne     failed
        add     $24, %rbx
        cmpq    $0, 0(%rbx)
        jne     next
        int3
failed: mov     $60, %eax               /* exit(1) */
        mov     $1, %edi
        syscall

        .data
        .macro  area address, size, protection
        .quad   \address, \size, \protection
        .endm
areas:  area    0x10000000, 0x1000, 7   /* CODE */
        area    0x20000000, 0x1000, 3   /* DATA */
        area    0x20002000, 0x1000, 1   /* CONSTANT */
        area    0xC0000000, 0x1000, 7   /* SLOTS[32] */
        area    0x200000000000, 0x1000, 7 /* SLOTS[64] */
        .quad   0
