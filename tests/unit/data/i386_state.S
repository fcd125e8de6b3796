/* Sets every register of a 32-bit program on a CPU with AVX-512 to the value that amd64_state.S gives its namesake,
   then stops at int3. Like that one it asks its parent to trace it, and ends by itself after 20 seconds.
   cc -m32 -nostdlib -static -o i386_state i386_state.S */
        .altmacro
        .macro  zmm_row i
        .set    j, 0
        .rept   64
        .byte   (7 * \i + j) & 255
        .set    j, j + 1
        .endr
        .endm
        .macro  load_zmm i
        vmovdqu64 rows + 64*\i, %zmm\i
        .endm
        .macro  load_k i
        kmovq   masks + 8*\i, %k\i
        .endm

        .text
        .globl  _start
_start: mov     $27, %eax               /* alarm(20) */
        mov     $20, %ebx
        int     $0x80
        mov     $26, %eax               /* ptrace(PTRACE_TRACEME), which fails under a debugger */
        mov     $0, %ebx
        int     $0x80
        mov     $243, %eax              /* set_thread_area */
        mov     $area, %ebx
        int     $0x80
        mov     area, %eax
        lea     3(,%eax,8), %eax
        mov     %eax, %gs
        fninit
        fldcw   control_word
        ldmxcsr mxcsr
        fldt    denormal
        fldt    infinity
        fldz
        fldpi
        fld1
        /* An exception that stays pending: AMD's CPUs save the x87 pointers only then. */
        .globl  last_x87
last_x87:
        fdivs   zero
        .set    i, 0
        .rept   8
        load_zmm %i
        .set    i, i + 1
        .endr
        .set    i, 0
        .rept   8
        load_k  %i
        .set    i, i + 1
        .endr
        mov     $0x11111101, %eax
        mov     $0x11111102, %ecx
        mov     $0x11111103, %edx
        mov     $0x11111104, %ebx
        mov     $0x11111105, %esp
        mov     $0x11111106, %ebp
        mov     $0x11111107, %esi
        mov     $0x11111108, %edi
        std
        int3
        .globl  stopped
stopped:
        hlt

        .data
        .balign 64
rows:   .set    i, 0
        .rept   8
        zmm_row %i
        .set    i, i + 1
        .endr
masks:  .set    i, 1
        .rept   8
        .quad   0x0102030405060708 * i
        .set    i, i + 1
        .endr
area:   .long   -1, 0x12345678, 0xfffff, 0x51   /* struct user_desc: entry_number, base_addr, limit, flags */
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
