/* Measures a debug server over TCP, as a client that costs next to nothing itself.

     client PORT DIALECT [NAME=ADDRESS ...] MEASUREMENT:REPETITIONS ...

   DIALECT is `gdb` or `lldb`: what is negotiated, and which form of a packet is sent; or `echo`, for a server that says
   nothing but $#00. NAME=ADDRESS are the symbols of programs/work.c, in hex; besides, server=PID is the server, whose
   memory can be measured, and attach=PID the process to attach to, where the server has not started one.

   Prints a line for each measurement: its name, the best and the median time of its repetitions in nanoseconds. Or its
   name, `unserved` or `failed`, and why: unserved is what a server refuses by an empty or an error reply before anything
   was timed; anything else that is not as it should be is a failure. Every timed reply is looked at, after its time was
   taken.

   A time runs from before the request is sent until its reply is complete. What is measured for each of many (hits,
   instructions, signals, MiB) is divided by their number. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE 30 /* seconds for a reply */
#define MEBIBYTE 1048576.0
#define PC 0x10 /* the program counter's register number, in both dialects */

enum { GDB, LLDB, ECHO };
enum { SLEEP, STEPS, HITS, STRAIGHT, LOOP, SIGNALS }; /* phases of programs/work.c */

static const char *const gdb_offers = /* what GDB 18.1 sends */
    "qSupported:multiprocess+;swbreak+;hwbreak+;qRelocInsn+;fork-events+;vfork-events+;exec-events+;vContSupported+;"
    "QThreadEvents+;QThreadOptions+;no-resumed+;memory-tagging+;single-inf-arg+;xmlRegisters=i386;error-message+;"
    "multi-wp-addr+";
static const char *const lldb_offers = /* what LLDB 23.1 sends */
    "qSupported:xmlRegisters=i386,arm,mips,arc;multiprocess+;fork-events+;vfork-events+;swbreak+;hwbreak+";

/* --- failing --- */

static jmp_buf give_up;
static char reason[512];

__attribute__((noreturn, format(printf, 2, 3))) static void stop(const char *verdict, const char *format, ...)
{
    va_list arguments;
    int length = snprintf(reason, sizeof reason, "%s ", verdict);

    va_start(arguments, format);
    vsnprintf(reason + length, sizeof reason - (size_t)length, format, arguments);
    va_end(arguments);
    longjmp(give_up, 1);
}

#define fail(...) stop("failed", __VA_ARGS__)
#define unserved(...) stop("unserved", __VA_ARGS__)

/* --- symbols --- */

static struct { const char *name; uint64_t address; } symbols[64];
static int symbol_count;

static uint64_t symbol(const char *name)
{
    for (int i = 0; i < symbol_count; i++)
        if (strcmp(symbols[i].name, name) == 0)
            return symbols[i].address;
    fail("no symbol %s", name);
}

/* --- the wire --- */

static int connection = -1;
static int dialect;
static size_t packet_size = 4096;
static char thread[64];   /* the thread of the last stop reply, as the server writes it */
static uint64_t stop_pc;
static int prefixed_x;    /* replies to x start with b */

static char request[4 << 20];    /* a whole frame */
static char incoming[16 << 20];  /* a whole frame, with what came before it */
static char decoded[16 << 20];
static char *reply;              /* the payload as sent: in `incoming` */
static size_t reply_length;

static uint64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void send_all(const char *data, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(connection, data, length, MSG_NOSIGNAL);
        if (sent <= 0)
            fail("sending: %s", strerror(errno));
        data += sent;
        length -= (size_t)sent;
    }
}

/* Reads one frame; acknowledgements before it are skipped, and what a program printed. */
static void receive_frame(void)
{
    size_t length = 0, searched = 0;

    for (;;) {
        ssize_t received = recv(connection, incoming + length, sizeof incoming - length, 0);
        char *start, *end;
        if (received == 0)
            fail("the server hung up");
        if (received < 0)
            fail("no reply to %.40s: %s", request, strerror(errno));
        length += (size_t)received;
    again:
        end = memchr(incoming + searched, '#', length - searched);
        searched = end ? (size_t)(end - incoming) : length;
        if (!end || searched + 3 > length)
            continue;
        start = memchr(incoming, '$', searched);
        if (!start)
            fail("no frame: %.40s", incoming);
        if (start[1] == 'O' && end - start > 4 && start[2] != 'K') {
            length -= searched + 3;
            memmove(incoming, end + 3, length);
            searched = 0;
            if (length > 0)
                goto again;
            continue;
        }
        reply = start + 1;
        reply_length = (size_t)(end - reply);
        if (searched + 3 != length)
            fail("more than a reply to %.40s", request);
        return;
    }
}

/* Sends the payload that stands in request + 1; nanoseconds until the reply was complete. */
static uint64_t exchange(size_t length)
{
    uint8_t sum = 0;
    uint64_t start;
    char digits[3];

    for (size_t i = 1; i <= length; i++)
        sum = (uint8_t)(sum + (uint8_t)request[i]);
    request[0] = '$';
    request[length + 1] = '#';
    snprintf(digits, sizeof digits, "%02x", sum);
    memcpy(request + length + 2, digits, 2);
    start = now();
    send_all(request, length + 4);
    receive_frame();
    start = now() - start;
    request[length + 1] = '\0';
    reply[reply_length] = '\0';
    return start;
}

__attribute__((format(printf, 1, 2))) static uint64_t ask(const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(request + 1, sizeof request - 8, format, arguments);
    va_end(arguments);
    return exchange((size_t)length);
}

/* Undoes run-lengths (which only GDB is sent) and, for binary replies, escapes. */
static size_t decode(int binary)
{
    size_t length = 0;

    for (size_t i = 0; i < reply_length; i++) {
        char byte = reply[i];
        if (binary && byte == '}') {
            byte = (char)(reply[++i] ^ 0x20);
        } else if (byte == '*' && dialect == GDB && length > 0) {
            size_t repeats = (size_t)(uint8_t)reply[++i] - 29;
            memset(decoded + length, decoded[length - 1], repeats);
            length += repeats;
            continue;
        }
        decoded[length++] = byte;
    }
    decoded[length] = '\0';
    return length;
}

static int is_error(void)
{
    return reply[0] == 'E' && (reply_length == 3 || reply[1] == '.' || (reply_length > 3 && reply[3] == ';'));
}

static uint64_t expect_ok(uint64_t time)
{
    if (reply_length != 2 || memcmp(reply, "OK", 2) != 0)
        fail("%.60s got %.60s", request + 1, reply);
    return time;
}

static void require_ok(void)
{
    if (reply_length == 0 || is_error())
        unserved("%.60s got %.60s", request + 1, reply_length ? reply : "an empty reply");
    expect_ok(0);
}

static uint64_t expect_hex(uint64_t time, size_t digits)
{
    size_t length = decode(0);

    if (is_error() || length != digits || strspn(decoded, "0123456789abcdef") != length)
        fail("%.60s got %zu bytes, not %zu: %.60s", request + 1, length, digits, decoded);
    return time;
}

/* A stop reply: keeps its thread and program counter. */
static uint64_t expect_stop(uint64_t time, const char *signal)
{
    char *field;
    size_t length = decode(0);

    if (length < 3 || decoded[0] != 'T')
        fail("%.60s got %.60s", request + 1, decoded);
    if (signal && memcmp(decoded + 1, signal, 2) != 0)
        fail("%.60s got signal %.2s", request + 1, decoded + 1);
    stop_pc = 0;
    strtok(decoded + 3, ";");
    for (field = decoded + 3; field; field = strtok(NULL, ";")) {
        if (strncmp(field, "thread:", 7) == 0)
            snprintf(thread, sizeof thread, "%.60s", field + 7);
        if (strncmp(field, "10:", 3) == 0)
            stop_pc = __builtin_bswap64(strtoull(field + 3, NULL, 16));
    }
    return time;
}

static uint64_t expect_stop_at(uint64_t time, uint64_t address)
{
    expect_stop(time, "05");
    if (stop_pc != address)
        fail("%.60s stopped at %#lx, not at %#lx", request + 1, (long)stop_pc, (long)address);
    return time;
}

/* --- a session --- */

static uint64_t connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval deadline = {.tv_sec = DEADLINE};
    uint64_t start = now();
    int on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connection = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connection, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connecting: %s", strerror(errno));
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
    return now() - start;
}

static uint64_t negotiate(void)
{
    uint64_t time = ask("QStartNoAckMode");
    char *size;

    expect_ok(time);
    send_all("+", 1);
    time += ask("%s", dialect == LLDB ? lldb_offers : gdb_offers);
    decode(0);
    size = strstr(decoded, "PacketSize=");
    if (!size)
        fail("no PacketSize: %.60s", decoded);
    packet_size = strtoul(size + 11, NULL, 16);
    if (dialect == LLDB && packet_size == 0x131072) /* lldb-server writes it in decimal */
        packet_size = 131072;
    prefixed_x = strstr(decoded, "binary-upload+") != NULL;
    if (dialect == LLDB) {
        time += expect_ok(ask("QThreadSuffixSupported"));
        time += expect_ok(ask("QListThreadsInStopReply"));
    }
    return time;
}

static const char *suffix(void)
{
    static char text[80];
    const char *tid;

    if (dialect != LLDB)
        return "";
    tid = strchr(thread, '.'); /* without the process, also where stop replies name it */
    snprintf(text, sizeof text, ";thread:%s;", tid ? tid + 1 : thread);
    return text;
}

static void write_long(const char *name, uint64_t value)
{
    expect_ok(ask("M%lx,8:%016lx", (long)symbol(name), (long)__builtin_bswap64(value)));
}

static void insert(uint64_t address) { expect_ok(ask("Z0,%lx,1", (long)address)); }
static void take_out(uint64_t address) { expect_ok(ask("z0,%lx,1", (long)address)); }

static void run_to(const char *name)
{
    uint64_t address = symbol(name);

    insert(address);
    expect_stop_at(ask("vCont;c"), address);
    take_out(address);
}

static void select_thread(void)
{
    if (dialect == GDB)
        expect_ok(ask("Hg%s", thread));
}

/* From wherever the program is to `name` in another phase. */
static void enter(int phase, const char *name)
{
    expect_ok(ask("M%lx,4:%02x000000", (long)symbol("phase"), phase));
    run_to(name);
    select_thread();
}

/* --- measurements: nanoseconds of one repetition --- */

static void nothing(void) {}

static double unknown_packet(void)
{
    double time = (double)ask("vMustReplyEmpty");

    if (reply_length != 0)
        fail("vMustReplyEmpty got %.60s", reply);
    return time;
}

static double all_registers(void)
{
    double time = (double)ask("g%s", suffix());

    if (is_error() || decode(0) < 400)
        fail("g got %.60s", reply);
    return time;
}

static void ask_for_register(void)
{
    ask("p0%s", suffix());
    if (reply_length == 0)
        unserved("no p");
}

static double one_register(void) { return (double)expect_hex(ask("p0%s", suffix()), 16); }

/* The value of area[i], of which the first differs from the seed. */
static uint64_t *pattern(void)
{
    static uint64_t words[1 << 19];

    if (!words[0]) {
        uint64_t x = 88172645463325252u;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            words[i] = x;
        }
    }
    return words;
}

#define AREA (sizeof(uint64_t) << 19)

static void expect_hex_pattern(size_t offset, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *expected = (const uint8_t *)pattern() + offset;
    size_t length = decode(0);

    if (length != 2 * size)
        fail("%.60s got %zu digits, not %zu: %.60s", request + 1, length, 2 * size, decoded);
    for (size_t i = 0; i < size; i++)
        if (decoded[2 * i] != digits[expected[i] >> 4] || decoded[2 * i + 1] != digits[expected[i] & 15])
            fail("%.60s: byte %zu is wrong", request + 1, i);
}

static double memory_64(void)
{
    double time = (double)ask("m%lx,40", (long)symbol("area"));

    expect_hex_pattern(0, 64);
    return time;
}

/* Where the next packet of `size` bytes goes in the area: they go round it. */
static size_t next_offset(size_t size)
{
    static size_t next;
    size_t offset = next + size <= AREA ? next : 0;

    next = offset + size;
    return offset;
}

static double read_as_hex(void)
{
    size_t size = packet_size / 2 - 16, offset = next_offset(size);
    double time = (double)ask("m%lx,%zx", (long)(symbol("area") + offset), size);

    expect_hex_pattern(offset, size);
    return time / ((double)size / MEBIBYTE);
}

/* As many bytes as the client asks for: GDB half a packet, LLDB a whole one, of which it may get less. */
static double read_as_binary(void)
{
    size_t size = dialect == LLDB ? packet_size : packet_size / 2, offset = next_offset(size), length;
    double time = (double)ask("x%lx,%zx", (long)(symbol("area") + offset), size);
    char *data = decoded;

    length = decode(1);
    if (prefixed_x) {
        if (*data++ != 'b')
            fail("%.60s got no b", request + 1);
        length--;
    }
    if (length < size / 2 || length > size || memcmp(data, (char *)pattern() + offset, length) != 0)
        fail("%.60s got %zu bytes, or wrong ones: %.60s", request + 1, length, decoded);
    return time / ((double)length / MEBIBYTE);
}

/* X in a packet as large as allowed; M for LLDB, which has no X. */
static double write_memory(void)
{
    static char payload[sizeof request];
    static const char digits[] = "0123456789abcdef";
    const uint8_t *data = (const uint8_t *)pattern();
    size_t most = (packet_size < sizeof request ? packet_size : sizeof request) - 64;
    size_t offset = next_offset(most), size, length = 0;
    double time;
    int header;

    for (size = 0; offset + size < AREA && length < most - 2; size++) {
        uint8_t byte = data[offset + size];
        if (dialect == LLDB) {
            payload[length++] = digits[byte >> 4];
            payload[length++] = digits[byte & 15];
        } else if (byte == '$' || byte == '#' || byte == '}' || byte == '*') {
            payload[length++] = '}';
            payload[length++] = (char)(byte ^ 0x20);
        } else {
            payload[length++] = (char)byte;
        }
    }
    header = sprintf(request + 1, "%c%lx,%zx:", dialect == LLDB ? 'M' : 'X', (long)(symbol("sink") + offset), size);
    memcpy(request + 1 + header, payload, length);
    time = (double)expect_ok(exchange((size_t)header + length)) / ((double)size / MEBIBYTE);
    for (size_t end = 0; end < 2; end++) {
        size_t place = offset + end * (size - 64);
        ask("m%lx,40", (long)(symbol("sink") + place));
        expect_hex_pattern(place, 64);
    }
    return time;
}

static void enter_steps(void) { enter(STEPS, "steps_start"); }

static double one_step(void)
{
    uint64_t before = stop_pc, time = expect_stop(ask("vCont;s:%s", thread), "05");

    if (stop_pc == before || stop_pc < symbol("steps_start") || stop_pc >= symbol("steps_end"))
        fail("a step from %#lx to %#lx", (long)before, (long)stop_pc);
    return (double)time;
}

#define INSTRUCTIONS 7 /* of the loop: once round it, since a server may step some faster than others */

static double step(void)
{
    double time = 0;

    for (int i = 0; i < INSTRUCTIONS; i++)
        time += one_step();
    return time / INSTRUCTIONS;
}

static double step_and_registers(void)
{
    double time = 0;

    for (int i = 0; i < INSTRUCTIONS; i++) {
        time += one_step();
        time += all_registers();
    }
    return time / INSTRUCTIONS;
}

static void enter_hits(void)
{
    enter(HITS, "hit_here");
    insert(symbol("hit_here"));
}

static void leave_hits(void) { take_out(symbol("hit_here")); }

/* As GDB does it: the breakpoint is taken out for a step of this thread alone. */
static double breakpoint_cycle(void)
{
    uint64_t address = symbol("hit_here"), time = 0;

    time += expect_ok(ask("z0,%lx,1", (long)address));
    time += expect_stop(ask("vCont;s:%s", thread), "05");
    time += expect_ok(ask("Z0,%lx,1", (long)address));
    time += expect_stop_at(ask("vCont;c"), address);
    return (double)time;
}

static int batch;

/* How many hits or signals there are between two calls of done: so many that the stop at the end does not count. */
static void choose_batch(int size)
{
    batch = size;
    write_long("batch", (uint64_t)size);
}

/* From one call of done to the next, of which the first is stepped over before the time is taken. */
static double batch_until_done(void)
{
    uint64_t address = symbol("done_here"), time;

    take_out(address);
    expect_stop(ask("vCont;s:%s", thread), "05");
    insert(address);
    time = expect_stop_at(ask("vCont;c"), address);
    return (double)time / batch;
}

static void enter_condition(void)
{
    if (dialect == LLDB)
        unserved("no conditions");
    /* total > 1000000 as GDB 18.1 writes it: const32, ref64, ext 64, const32, swap, less_signed, end */
    ask("Z0,%lx,1;X10,24%08x1a164024000f42402b1427", (long)symbol("hit_here"), (unsigned)symbol("total"));
    require_ok();
    choose_batch(100);
    enter(HITS, "done_here");
    insert(symbol("done_here"));
}

static void leave_condition(void)
{
    take_out(symbol("hit_here"));
    take_out(symbol("done_here"));
}

static void enter_signals(void)
{
    choose_batch(500);
    ask("QPassSignals:%s", dialect == LLDB ? "0a" : "1e"); /* SIGUSR1: the host's number, GDB's number */
    require_ok();
    enter(SIGNALS, "done_here");
    insert(symbol("done_here"));
}

static void leave_signals(void)
{
    take_out(symbol("done_here"));
    expect_ok(ask("QPassSignals:"));
}

static void enter_range(int phase, const char *start)
{
    ask("vCont?");
    if (!strstr(reply, ";r"))
        unserved("no vCont;r");
    enter(phase, start);
}

static void enter_straight(void) { enter_range(STRAIGHT, "straight_start"); }
static void enter_loop(void) { enter_range(LOOP, "loop_start"); }

static double range(const char *start, const char *end, int instructions)
{
    uint64_t time;

    if (stop_pc != symbol(start))
        run_to(start);
    time = expect_stop_at(ask("vCont;r%lx,%lx:%s", (long)symbol(start), (long)symbol(end), thread), symbol(end));
    return (double)time / instructions;
}

static double straight_range(void) { return range("straight_start", "straight_end", 20); }
static double loop_range(void) { return range("loop_start", "loop_end", 3001); }

static char attach_to[32];

static double attach_and_detach(void)
{
    uint64_t time = ask("vAttach;%s", attach_to);

    expect_stop(time, NULL);
    return (double)(time + expect_ok(ask("D;%s", attach_to)));
}

/* Reads an object as GDB does, 0x1000 bytes at a time; LLDB asks for everything at once, and for more of each thread. */
static double thread_list(void)
{
    size_t offset = 0, length;
    double time = 0;
    int threads = 0;

    if (dialect == LLDB) {
        time = (double)ask("jThreadsInfo");
        decode(1);
        for (char *place = decoded; (place = strstr(place, "\"tid\":")); place++)
            threads++;
    } else {
        do {
            time += (double)ask("qXfer:threads:read::%zx,1000", offset);
            length = decode(1);
            if (decoded[0] != 'm' && decoded[0] != 'l')
                fail("%.60s got %.60s", request + 1, decoded);
            for (char *place = decoded; (place = strstr(place, "<thread ")); place++)
                threads++;
            offset += length - 1;
        } while (decoded[0] == 'm');
    }
    if (threads < 490) /* one may lie across the border of two replies */
        fail("%d threads", threads);
    return time;
}

static int server;

static double resident_memory(void) /* KiB, not nanoseconds */
{
    char line[256], path[64];
    double size = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", server);
    file = fopen(path, "r");
    if (!file)
        fail("%s: %s", path, strerror(errno));
    while (fgets(line, sizeof line, file) && sscanf(line, "VmRSS: %lf", &size) != 1)
        ;
    fclose(file);
    return size;
}

struct measurement {
    const char *name;
    void (*enter)(void);
    double (*measure)(void);
    void (*leave)(void);
};

static const struct measurement measurements[] = {
    {"empty", nothing, unknown_packet, nothing},
    {"g", nothing, all_registers, nothing},
    {"p", ask_for_register, one_register, nothing},
    {"m64", nothing, memory_64, nothing},
    {"read-m", nothing, read_as_hex, nothing},
    {"read-x", nothing, read_as_binary, nothing},
    {"write", nothing, write_memory, nothing},
    {"step", enter_steps, step, nothing},
    {"step-g", enter_steps, step_and_registers, nothing},
    {"breakpoint", enter_hits, breakpoint_cycle, leave_hits},
    {"condition", enter_condition, batch_until_done, leave_condition},
    {"signal", enter_signals, batch_until_done, leave_signals},
    {"range-straight", enter_straight, straight_range, nothing},
    {"range-loop", enter_loop, loop_range, nothing},
    {"attach", nothing, attach_and_detach, nothing},
    {"threads", nothing, thread_list, nothing},
    {"memory", nothing, resident_memory, nothing},
};

/* --- running them --- */

static int ascending(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;

    return (difference > 0) - (difference < 0);
}

static void print_times(const char *name, double *times, int count)
{
    qsort(times, (size_t)count, sizeof *times, ascending);
    printf("%s %.0f %.0f\n", name, times[0], times[count / 2]);
    fflush(stdout);
}

static void run(const struct measurement *measurement, int repetitions)
{
    double *times = calloc((size_t)repetitions, sizeof *times);

    measurement->enter();
    measurement->measure(); /* the first one warms up */
    for (int i = 0; i < repetitions; i++)
        times[i] = measurement->measure();
    measurement->leave();
    print_times(measurement->name, times, repetitions);
    free(times);
}

/* Whether the session can go on. */
static int run_named(const char *name, int repetitions)
{
    const struct measurement *end = measurements + sizeof measurements / sizeof *measurements;

    for (const struct measurement *measurement = measurements; measurement < end; measurement++) {
        if (strcmp(measurement->name, name) != 0)
            continue;
        if (setjmp(give_up)) {
            printf("%s %s\n", name, reason);
            fflush(stdout);
            return strncmp(reason, "unserved", 8) == 0;
        }
        run(measurement, repetitions);
        return 1;
    }
    printf("%s failed there is no such measurement\n", name);
    return 0;
}

/* To where the program has started all its threads. */
static int open_session(int port)
{
    double time;

    if (setjmp(give_up)) {
        printf("connect %s\n", reason);
        return 0;
    }
    time = (double)connect_to(port);
    if (dialect == ECHO)
        return 1;
    time += (double)negotiate();
    if (attach_to[0]) {
        if (dialect == GDB)
            expect_ok(ask("!")); /* so that the server stays when it has let a process go */
        return 1;
    }
    time += (double)expect_stop(ask("?"), NULL);
    print_times("connect", &time, 1);
    run_to("ready_here");
    select_thread();
    return 1;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    dialect = strcmp(argv[2], "lldb") == 0 ? LLDB : strcmp(argv[2], "echo") == 0 ? ECHO : GDB;
    for (int i = 3; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value)
            continue;
        *value++ = '\0';
        if (strcmp(argv[i], "attach") == 0) {
            snprintf(attach_to, sizeof attach_to, "%x", atoi(value));
        } else if (strcmp(argv[i], "server") == 0) {
            server = atoi(value);
        } else if (symbol_count < (int)(sizeof symbols / sizeof *symbols)) {
            symbols[symbol_count].name = argv[i];
            symbols[symbol_count++].address = strtoull(value, NULL, 16);
        }
        argv[i] = NULL;
    }
    if (!open_session(atoi(argv[1])))
        return 1;
    for (int i = 3; i < argc; i++) {
        char *repetitions = argv[i] ? strchr(argv[i], ':') : NULL;
        if (!repetitions)
            continue;
        *repetitions++ = '\0';
        if (!run_named(argv[i], atoi(repetitions)))
            return 1;
    }
    return 0;
}
