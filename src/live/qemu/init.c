/*
 * The only process of the second kernel. It runs the programs in /programs, one call a line, and
 * writes a line for each result: "@result|hash|size|blocks", with "-" for what there is not. The
 * calls are those of docs/transcripts.md. calls.h, made from the table of calls, has those that are
 * one system call; what the others mean is written down once more in src/conform/interpret.ts, and
 * the two must agree.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "calls.h"

#define PAGE 4096L
#define MAX 64
#define NR_memfd_secret 447
#define NR_move_pages 279
#define MPOL_MF_MOVE 2
#define MAPS ((char *)0x10000000)
#define MAPS_SIZE (1UL << 40)
#define GUEST_BASE 0x10000L
#define GUEST_CODE 0x1000L
/* Where its load is, behind the increment. */
#define GUEST_LOAD 3

static int files[MAX], nfiles, named;
static struct { char *at; long len; } maps[MAX];
static int nmaps;
static unsigned char buffer[1 << 20];
static uint32_t hash;
static int hashed;

static sigjmp_buf fault;
static volatile int broken;

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	broken = number == SIGBUS && info->si_code == BUS_MCEERR_AR;
	siglongjmp(fault, 1);
}

static long page_up(long len)
{
	return (len + PAGE - 1) / PAGE * PAGE;
}

static long answer(long result)
{
	return result == -1 ? -errno : result;
}

static long opened(long fd)
{
	if (nfiles < MAX)
		files[nfiles++] = fd < 0 ? -1 : fd;
	named = fd;
	return fd;
}

static int file(long number)
{
	named = number >= 0 && number < nfiles ? files[number] : -1;
	return named;
}

static long got(long count)
{
	if (count <= 0)
		return count;
	hash = 0x811c9dc5;
	for (long i = 0; i < count; i++)
		hash = (hash ^ buffer[i]) * 0x01000193;
	hashed = 1;
	return count;
}

static long touch(char *at, long byte)
{
	broken = 0;
	if (sigsetjmp(fault, 1))
		return broken ? -EHWPOISON : -EFAULT;
	if (byte < 0)
		return *(volatile unsigned char *)at;
	*(volatile unsigned char *)at = byte;
	return 1;
}

/*
 * A guest in real mode: increments the byte at GUEST_BASE + bx, loads it, tells it to port 0x10.
 * The increment is locked, so that KVM is asked for a page to write, as by hardware. Otherwise QEMU
 * reads first, and for a read KVM has the pages around it mapped in the process as well.
 */
static const unsigned char guest_code[] = {
	0xf0, 0xfe, 0x07, 0x8a, 0x07, 0xe6, 0x10, 0xf4,
};

static int vm = -1, vcpu = -1;
static struct kvm_run *run;

static long guest_start(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0 || (vm = ioctl(kvm, KVM_CREATE_VM, 0)) < 0)
		return -errno;
	char *code = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(code, guest_code, sizeof guest_code);
	struct kvm_userspace_memory_region slot = { 1000, 0, GUEST_CODE, PAGE, (uintptr_t)code };
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return -errno;
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	run = mmap(0, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	close(kvm);
	return 0;
}

static long guest_slot(long number, long flags, long gpa, char *at, long len)
{
	if (vm < 0 && guest_start() < 0)
		return -ENODEV;
	struct kvm_userspace_memory_region slot = { number, flags, gpa, len, (uintptr_t)at };
	return answer(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot));
}

static long guest_run(long gpa, long from)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rip = from, .rbx = gpa - GUEST_BASE, .rflags = 2 };
	broken = 0;
	if (vm < 0)
		return -EBADF;
	ioctl(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs.selector = GUEST_CODE >> 4, sregs.cs.base = GUEST_CODE;
	sregs.ds.selector = GUEST_BASE >> 4, sregs.ds.base = GUEST_BASE;
	ioctl(vcpu, KVM_SET_SREGS, &sregs);
	ioctl(vcpu, KVM_SET_REGS, &regs);
	if (sigsetjmp(fault, 1))
		return broken ? -EHWPOISON : -EFAULT;
	if (ioctl(vcpu, KVM_RUN, 0) < 0)
		return -errno;
	if (run->exit_reason != KVM_EXIT_IO)
		return -ENXIO;
	return *((unsigned char *)run + run->io.data_offset);
}

static long move_page(char *at, long node)
{
	void *page = at;
	int to = node, status = -1;
	long moved = syscall(NR_move_pages, 0, 1L, &page, &to, &status, MPOL_MF_MOVE);
	return moved < 0 ? -errno : status;
}

static long in_core(char *at)
{
	unsigned char byte;
	return mincore(at, 1, &byte) < 0 ? -errno : byte & 1;
}

static long compact(void)
{
	int fd = open("/proc/sys/vm/compact_memory", O_WRONLY | O_CLOEXEC);
	long written = write(fd, "1", 1);
	close(fd);
	return written == 1 ? 0 : -EIO;
}

static char *map_at(long number, long offset, long length)
{
	if (number < 0 || number >= nmaps || maps[number].at == 0)
		return 0;
	long most = length < 0 ? maps[number].len - 1 : page_up(maps[number].len) - length;
	return offset < 0 || offset > most ? 0 : maps[number].at + offset;
}

/* A call that is one system call: its arguments in order, an offset added to its map. */
static const char *by_number(const struct call *c, const long *a, long *result)
{
	long raw[6] = { 0 };
	int n = 0, map = -1;
	for (int i = 0; c->arguments[i]; i++) {
		switch (c->arguments[i]) {
		case 'f':
			raw[n++] = file(a[i]);
			break;
		case 'm':
			map = a[i];
			raw[n] = (long)map_at(map, 0, -1);
			if (!raw[n++])
				return "nomap";
			if (c->ends_map)
				raw[n++] = maps[map].len;
			break;
		case 'o':
			if (a[i + 1] < 0 && c->arguments[i + 1] == 'l')
				return "nomap";
			raw[n - 1] = (long)map_at(map, a[i], c->arguments[i + 1] == 'l' ? a[i + 1] : -1);
			if (!raw[n - 1])
				return "nomap";
			break;
		default:
			raw[n++] = a[i];
		}
	}
	*result = answer(syscall(c->nr, raw[0], raw[1], raw[2], raw[3], raw[4], raw[5]));
	if (c->ends_map)
		maps[map].at = 0;
	if (!c->makes_file)
		return 0;
	return opened(*result) < 0 ? 0 : "fd";
}

static const char *on_map(const char *name, const long *a, long *result)
{
	if (!strcmp(name, "kvm_set_user_memory_region")) {
		char *at = a[3] < 0 ? 0 : map_at(a[4], a[5], a[3]);
		if (!at)
			return "nomap";
		*result = guest_slot(a[0], a[1], a[2], at, a[3]);
		return 0;
	}
	char *at = map_at(a[0], a[1], -1);
	if (!at)
		return "nomap";
	if (!strcmp(name, "move_pages"))
		*result = move_page(at, a[2]);
	else if (!strcmp(name, "mincore"))
		*result = in_core(at);
	else
		*result = touch(at, !strcmp(name, "load") ? -1 : a[2]);
	return 0;
}

/*
 * Where the model would map, as a hint: the pages that a read fault maps along with its own are
 * those of a window of 64 KiB, so it matters where a map begins; and a guest whose map is gone finds
 * whatever comes to its place.
 */
static char *lowest_gap(unsigned long len)
{
	char *at = MAPS;
	for (int i = 0; i < nmaps && len < MAPS_SIZE; i++) {
		char *end = maps[i].at + page_up(maps[i].len);
		if (maps[i].at && maps[i].at < at + page_up(len) && end > at)
			at = end, i = -1;
	}
	return at;
}

static const char *on_file(const char *name, const long *a, long *result)
{
	int fd = file(a[0]);
	if (!strcmp(name, "pwrite"))
		*result = answer(pwrite(fd, memset(buffer, a[3], a[2]), a[2], a[1]));
	else if (!strcmp(name, "write"))
		*result = answer(write(fd, memset(buffer, a[2], a[1]), a[1]));
	else if (!strcmp(name, "pread"))
		*result = got(answer(pread(fd, buffer, a[2], a[1])));
	else if (!strcmp(name, "read"))
		*result = got(answer(read(fd, buffer, a[1])));
	else if (!strcmp(name, "fcntl_add_seals"))
		*result = answer(fcntl(fd, F_ADD_SEALS, a[1]));
	else if (!strcmp(name, "fcntl_get_seals"))
		*result = answer(fcntl(fd, F_GET_SEALS));
	else if (!strcmp(name, "fstat"))
		*result = 0;
	else if (!strcmp(name, "close")) {
		*result = answer(close(fd));
		if (a[0] >= 0 && a[0] < nfiles)
			files[a[0]] = -1;
		named = -1;
	} else if (!strcmp(name, "mmap")) {
		char *at = mmap(lowest_gap(a[3]), a[3], a[1], a[2], fd, a[4]);
		maps[nmaps].at = at == MAP_FAILED ? 0 : at;
		maps[nmaps++].len = a[3];
		*result = answer(at == MAP_FAILED ? -1 : 0);
		return at == MAP_FAILED ? 0 : "map";
	} else
		return "unknown";
	return 0;
}

static int is_on_map(const char *name)
{
	static const char *const names[] = {
		"load", "store", "mincore", "move_pages", "kvm_set_user_memory_region",
	};
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(name, names[i]))
			return 1;
	return 0;
}

static const char *make(const char *name, const long *a, long *result)
{
	*result = 0;
	if (!strcmp(name, "memfd_create"))
		*result = opened(answer(memfd_create("f", a[0])));
	else if (!strcmp(name, "memfd_secret"))
		*result = opened(answer(syscall(NR_memfd_secret, a[0])));
	else if (is_on_map(name))
		return on_map(name, a, result);
	else if (!strcmp(name, "run") || !strcmp(name, "peek"))
		*result = guest_run(a[0], strcmp(name, "run") ? GUEST_LOAD : 0);
	else if (!strcmp(name, "compact"))
		*result = compact();
	else {
		for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++)
			if (!strcmp(name, calls[i].name) && strcmp(name, "close"))
				return by_number(&calls[i], a, result);
		return on_file(name, a, result);
	}
	return strncmp(name, "memfd_", 6) || *result < 0 ? 0 : "fd";
}

static void begin(void)
{
	while (nmaps > 0)
		if (maps[--nmaps].at)
			munmap(maps[nmaps].at, maps[nmaps].len);
	while (nfiles > 0)
		if (files[--nfiles] >= 0)
			close(files[nfiles]);
	if (vm >= 0)
		close(vcpu), close(vm);
	vm = vcpu = -1;
}

static void one(char *line)
{
	char name[40];
	long a[6] = { 0 }, result = 0;
	struct stat st;
	if (sscanf(line, "%39s %ld %ld %ld %ld %ld %ld", name, a, a + 1, a + 2, a + 3, a + 4, a + 5) < 1)
		return;
	if (!strcmp(name, "program")) {
		begin();
		return;
	}
	named = -1, hashed = 0;
	const char *word = make(name, a, &result);
	printf(word ? "@%s|" : "@%s%ld|", word ? word : "", result);
	printf(hashed ? "%u|" : "-|", hash);
	if (named >= 0 && fstat(named, &st) == 0)
		printf("%ld|%ld\n", (long)st.st_size, (long)st.st_blocks);
	else
		printf("-|-\n");
}

static void load_modules(void)
{
	static const char *const names[] = { "/irqbypass.ko", "/ccp.ko", "/kvm.ko", "/kvm-amd.ko" };
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		int fd = open(names[i], O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			syscall(SYS_finit_module, fd, "", 0);
		close(fd);
	}
}

int main(void)
{
	static char line[256];
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER };
	mount("none", "/dev", "devtmpfs", 0, "");
	mount("none", "/proc", "proc", 0, "");
	load_modules();
	sigaction(SIGBUS, &action, 0);
	sigaction(SIGSEGV, &action, 0);
	FILE *programs = fopen("/programs", "r");
	while (programs && fgets(line, sizeof line, programs))
		one(line);
	printf("@end\n");
	fflush(stdout);
	sync();
	reboot(RB_AUTOBOOT);
	return 1;
}
