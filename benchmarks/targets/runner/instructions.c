/* qemu-user plugin (QEMU 7.2 to 8.x, plugin interface 1): counts guest instructions by class.
 *
 *   cc -O2 -fPIC -shared instructions.c -o libinstructions.so
 *   QEMU_PLUGIN=libinstructions.so,out=FILE qemu-aarch64 PROGRAM
 *
 * PROGRAM makes a mark by the system call getppid(0x1c0de, tag), whose arguments the kernel ignores. Each mark is a line
 * `<tag> <class>=<count>...` in FILE, counted from the start of the process, so what a call costs is the difference of
 * two marks. With one thread in PROGRAM the counts are exact; threads add to them without a lock. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* What QEMU 7.2 offers to plugins. Debian does not package its header. */
typedef uint64_t Id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum Operation { ADD_U64 };
typedef void (*Translated)(Id, struct qemu_plugin_tb *);
typedef void (*SystemCall)(Id, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                           uint64_t);
void qemu_plugin_register_vcpu_tb_trans_cb(Id, Translated);
void qemu_plugin_register_vcpu_syscall_cb(Id, SystemCall);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, enum Operation, void *, uint64_t);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;

enum { GETPPID = 173, MAGIC = 0x1c0de };
enum { TOTAL, LOAD_STORE, VECTOR, DOT, I8MM, FMLA, FP16, BRANCH, CLASSES };
static const char *const names[CLASSES] = {"total", "load_store", "vector", "dot", "i8mm", "fmla", "fp16", "branch"};
static uint64_t counts[CLASSES];
static FILE *out;

/* By the top-level encodings of the A64 instruction set; a word can belong to several classes. */
static void classify(uint32_t word, uint64_t *in_block) {
    in_block[TOTAL]++;
    in_block[LOAD_STORE] += (word & 0x0a000000) == 0x08000000; /* op0 = x1x0 */
    in_block[BRANCH] += (word & 0x1c000000) == 0x14000000;     /* op0 = 101x: branches, exceptions, system */
    if ((word & 0x0e000000) != 0x0e000000) return;             /* op0 = x111: SIMD and floating point */
    in_block[VECTOR]++;
    in_block[DOT] += (word & 0x9fe0fc00) == 0x0e809400     /* SDOT, UDOT of vectors */
                  || (word & 0x9fc0f400) == 0x0f80e000;    /* by an element */
    in_block[I8MM] += (word & 0xdfe0f400) == 0x4e80a400;   /* SMMLA, UMMLA, USMMLA */
    in_block[FMLA] += (word & 0xbf20fc00) == 0x0e20cc00    /* FMLA of vectors, single and double precision */
                   || (word & 0xbf80f400) == 0x0f801000;   /* by an element */
    in_block[FP16] += (word & 0xbfe0fc00) == 0x0e400c00    /* FMLA of vectors, half precision */
                   || (word & 0xbfc0f400) == 0x0f001000;   /* by an element */
}

static void translated(Id id, struct qemu_plugin_tb *block) {
    uint64_t in_block[CLASSES] = {0};
    size_t length = qemu_plugin_tb_n_insns(block);
    for (size_t at = 0; at < length; at++) {
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(block, at)), sizeof word);
        classify(word, in_block);
    }
    for (int kind = 0; kind < CLASSES; kind++)
        if (in_block[kind]) qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &counts[kind], in_block[kind]);
}

static void called(Id id, unsigned cpu, int64_t number, uint64_t magic, uint64_t tag, uint64_t a3, uint64_t a4,
                   uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8) {
    if (number != GETPPID || magic != MAGIC) return;
    fprintf(out, "%llu", (unsigned long long)tag);
    for (int kind = 0; kind < CLASSES; kind++) fprintf(out, " %s=%llu", names[kind], (unsigned long long)counts[kind]);
    fputc('\n', out);
    fflush(out);
}

EXPORT int qemu_plugin_install(Id id, const void *info, int argc, char **argv) {
    if (argc != 1 || strncmp(argv[0], "out=", 4) != 0) {
        fprintf(stderr, "libinstructions.so: give out=FILE\n");
        return 1;
    }
    out = fopen(argv[0] + 4, "w");
    if (!out) {
        perror(argv[0] + 4);
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}
