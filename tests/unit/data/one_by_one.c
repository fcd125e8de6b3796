/* Runs single instructions, each from a given state, by returning to it from a signal handler with the trap flag set:
   all registers come from the signal's frame, and what has become of them is in the next one.
   The cases are in the file that is standard input; the results are written over them (tests/unit/one_by_one.py).
   It ends by itself after 50 seconds. */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { PAGE = 4096, WINDOW = 512, LEGACY = 416, XMM = 160, XMM_SIZE = 256, XSTATE_BV = 512, AVX = 576, AVX_SIZE = 256 };
enum { SIZES = 464, MAGIC = 0x46505853 /* asm/sigcontext.h */, TRAP_FLAG = 0x100 };
enum { ALIGNMENT_CHECK = 0x40000 };

struct test_case {
    uint64_t general[27];                /* struct user_regs_struct; its last eight are as they are */
    uint8_t vectors[LEGACY + AVX_SIZE];  /* of an XSAVE area; only xmm0 to xmm15 are taken */
    uint8_t data[WINDOW];                /* what is at DATA */
    uint8_t code[16];
    uint64_t code_address, signal;
};

static const struct { uintptr_t address; int protection; } areas[] = {
    {0x13570000, PROT_READ | PROT_WRITE | PROT_EXEC},     /* CODE */
    {0x20000000, PROT_READ | PROT_WRITE},                 /* DATA is its end */
    {0x20002000, PROT_READ | PROT_WRITE},                 /* CONSTANT is its end */
    {0xB4560000, PROT_READ | PROT_WRITE | PROT_EXEC},     /* SLOTS[32] */
    {0x200000000000, PROT_READ | PROT_WRITE | PROT_EXEC}, /* SLOTS[64] */
};
static uint8_t *const data = (uint8_t *)0x20000000 + PAGE - WINDOW;
static uint8_t *const constant = (uint8_t *)0x20002000 + PAGE - WINDOW;

static struct test_case *next, *last, *running;
static uint8_t first_area[1 << 14];
static size_t area_size;

/* Where struct user_regs_struct has what a frame has, up to rsp. */
static const uint8_t places[] = {
    REG_R15, REG_R14, REG_R13, REG_R12, REG_RBP, REG_RBX, REG_R11, REG_R10, REG_R9,  REG_R8,
    REG_RAX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, 255,     REG_RIP, 255,     REG_EFL, REG_RSP,
};
enum { CS = 17, EFLAGS = 18, PLACES = sizeof places };

static long system_call(long number, long first, long second)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(first), "S"(second) : "rcx", "r11", "memory");
    return result;
}

static void end(int status)
{
    for (;;)
        system_call(SYS_exit_group, status, 0);
}

/* What a frame does not have. From the first call on there is no C library, which needs fs. */
static void set_segments(void)
{
    __asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(0x2B));
    system_call(SYS_arch_prctl, ARCH_SET_GS, (uintptr_t)data + 0x40);
    system_call(SYS_arch_prctl, ARCH_SET_FS, (uintptr_t)data + 0x80);
}

static void keep_result(const ucontext_t *frame, int signal)
{
    const uint8_t *area = (const uint8_t *)frame->uc_mcontext.fpregs;
    for (int i = 0; i < PLACES; i++)
        if (places[i] != 255)
            running->general[i] = frame->uc_mcontext.gregs[places[i]];
    running->general[EFLAGS] &= ~(uint64_t)TRAP_FLAG;
    running->general[CS] = frame->uc_mcontext.gregs[REG_CSGSFS] & 0xFFFF;
    memcpy(running->vectors, area, LEGACY);
    if (area_size >= AVX + AVX_SIZE)
        memcpy(running->vectors + LEGACY, area + AVX, AVX_SIZE);
    memcpy(running->data, data, WINDOW);
    running->signal = signal;
}

static void start_next(ucontext_t *frame)
{
    uint8_t *area = (uint8_t *)frame->uc_mcontext.fpregs;
    running = next++;
    set_segments();
    for (int i = 0; i < PLACES; i++)
        if (places[i] != 255)
            frame->uc_mcontext.gregs[places[i]] = running->general[i];
    frame->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
    frame->uc_mcontext.gregs[REG_CSGSFS] &= ~0xFFFFLL;
    frame->uc_mcontext.gregs[REG_CSGSFS] |= running->general[CS];
    memcpy(area, first_area, area_size);
    memcpy(area + XMM, running->vectors + XMM, XMM_SIZE);
    area[XSTATE_BV] |= 2;
    memcpy(data, running->data, WINDOW);
    memcpy((void *)running->code_address, running->code, sizeof running->code);
}

/* The kernel leaves the flag on in a handler, and memcpy accesses what is not aligned. */
static void forgive_misalignment(void)
{
    __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() & ~(uint64_t)ALIGNMENT_CHECK);
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
    ucontext_t *frame = context;
    (void)info;
    forgive_misalignment();
    if (running) {
        keep_result(frame, signal);
    } else {
        uint32_t sizes[2];
        memcpy(sizes, (uint8_t *)frame->uc_mcontext.fpregs + SIZES, sizeof sizes);
        area_size = sizes[1];
        if (sizes[0] != MAGIC || area_size > sizeof first_area)
            end(2);
        memcpy(first_area, frame->uc_mcontext.fpregs, area_size);
    }
    if (next == last)
        end(0);
    start_next(frame);
}

int main(void)
{
    static uint8_t stack[1 << 16];
    const int signals[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct stat file;
    alarm(50);
    for (size_t i = 0; i < sizeof areas / sizeof *areas; i++)
        if (mmap((void *)areas[i].address, PAGE, areas[i].protection,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != (void *)areas[i].address)
            return 3;
    for (int i = 0; i < WINDOW; i++)
        constant[i] = i % 8 < 5 ? 37 * i + 11 : 0;
    mprotect(constant + WINDOW - PAGE, PAGE, PROT_READ);
    if (fstat(0, &file) != 0)
        return 4;
    next = mmap(NULL, file.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, 0, 0);
    if (next == MAP_FAILED)
        return 5;
    last = next + file.st_size / sizeof *next;
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        sigaction(signals[i], &action, NULL);
    }
    set_segments();
    __asm__ volatile("int3");
    return 0;
}
