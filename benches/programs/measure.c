/*
 * Runs one command in a control group of its own and measures it without any
 * part of Foreshadow: the benchmark's truth must not come from the sampler
 * that the benchmark judges.
 *
 *   measure [-i MICROSECONDS] [-s SAMPLES] [-f INPUT_LIST] [-c CWD]
 *           [-0 STDIN] [-1 STDOUT] -o SUMMARY -- COMMAND [ARGUMENT...]
 *
 * SUMMARY gets "key value" lines. SAMPLES, where given, gets one line a poll:
 *   seconds cpu_ns anon+shmem kernel position rchar threads
 * with memory in bytes; `position` is the sum over the files named in
 * INPUT_LIST of the furthest offset that any process of the group holds.
 *
 * Memory is anonymous + shared; kernel memory is kept beside it, because the
 * v1 hierarchy can't tell the reclaimable part (dentries, inodes) of it.
 * Page cache is left out. Needs root, and cgroup v1 (memory, cpuacct) or v2.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define V1_MEMORY "/sys/fs/cgroup/memory"
#define V1_CPU "/sys/fs/cgroup/cpuacct"
#define V2_ROOT "/sys/fs/cgroup"
#define MAX_GROUP_PROCESSES 4096

static char memory_group[256], cpu_group[256];
static int is_v2;
static int stat_fd = -1, kernel_fd = -1, cpu_fd = -1;

static void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("measure: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(125);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* Rereads an open control file from its start. */
static size_t reread(int fd, char *buffer, size_t size)
{
    ssize_t n = fd < 0 ? -1 : pread(fd, buffer, size - 1, 0);
    if (n < 0)
        n = 0;
    buffer[n] = 0;
    return (size_t)n;
}

static long long field(const char *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        if (*line == '\n')
            line++;
        if (!strncmp(line, name, length) && line[length] == ' ')
            return atoll(line + length + 1);
    }
    return 0;
}

static int open_in(const char *group, const char *file)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", group, file);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static void remove_groups(void)
{
    for (int tries = 0; tries < 200; tries++) {
        int left = 0;
        if (memory_group[0] && rmdir(memory_group) && errno == EBUSY)
            left = 1;
        if (cpu_group[0] && strcmp(cpu_group, memory_group) &&
            rmdir(cpu_group) && errno == EBUSY)
            left = 1;
        if (!left)
            return;
        usleep(10000);
    }
    fprintf(stderr, "measure: %s could not be removed\n", memory_group);
}

static void make_groups(void)
{
    is_v2 = access(V1_MEMORY "/cgroup.procs", F_OK) != 0;
    if (is_v2) {
        snprintf(memory_group, sizeof memory_group, V2_ROOT "/foreshadow-bench-%d", getpid());
        strcpy(cpu_group, memory_group);
    } else {
        snprintf(memory_group, sizeof memory_group, V1_MEMORY "/foreshadow-bench-%d", getpid());
        snprintf(cpu_group, sizeof cpu_group, V1_CPU "/foreshadow-bench-%d", getpid());
    }
    if (mkdir(memory_group, 0755))
        die("cannot make %s: %s (root is needed)", memory_group, strerror(errno));
    atexit(remove_groups);
    if (!is_v2 && mkdir(cpu_group, 0755))
        die("cannot make %s: %s", cpu_group, strerror(errno));
    stat_fd = open_in(memory_group, "memory.stat");
    kernel_fd = is_v2 ? -1 : open_in(memory_group, "memory.kmem.usage_in_bytes");
    cpu_fd = open_in(cpu_group, is_v2 ? "cpu.stat" : "cpuacct.usage");
    if (stat_fd < 0 || cpu_fd < 0)
        die("%s has no memory or cpu accounting", memory_group);
}

static void join(const char *group)
{
    char path[512];
    snprintf(path, sizeof path, "%s/cgroup.procs", group);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1)
        die("cannot join %s: %s", path, strerror(errno));
    close(fd);
}

/* Opened anew each time: v1 keeps the list as it was when it was opened. */
static size_t read_processes(char *buffer, size_t size)
{
    int fd = open_in(memory_group, "cgroup.procs");
    size_t n = reread(fd, buffer, size);
    if (fd >= 0)
        close(fd);
    return n;
}

static long long read_cpu(void)
{
    char text[1024];
    reread(cpu_fd, text, sizeof text);
    return is_v2 ? field(text, "usage_usec") * 1000 : atoll(text);
}

static void read_memory(long long *memory, long long *kernel)
{
    char text[8192];
    reread(stat_fd, text, sizeof text);
    if (is_v2) {
        *memory = field(text, "anon") + field(text, "shmem");
        *kernel = field(text, "kernel") - field(text, "slab_reclaimable");
    } else {
        char number[64];
        reread(kernel_fd, number, sizeof number);
        *memory = field(text, "total_rss") + field(text, "total_shmem");
        *kernel = atoll(number);
    }
}

/* The inputs whose progress is followed, by device and inode. */
struct input {
    dev_t device;
    ino_t inode;
    long long position;
};
static struct input *inputs;
static size_t input_slots;

static struct input *input_slot(dev_t device, ino_t inode)
{
    size_t i = (inode * 0x9E3779B97F4A7C15ull + device) & (input_slots - 1);
    while (inputs[i].inode && (inputs[i].inode != inode || inputs[i].device != device))
        i = (i + 1) & (input_slots - 1);
    return &inputs[i];
}

static void load_inputs(const char *list)
{
    FILE *file = fopen(list, "r");
    char line[4096];
    size_t count = 0;
    if (!file)
        die("cannot read %s: %s", list, strerror(errno));
    while (fgets(line, sizeof line, file))
        count++;
    for (input_slots = 64; input_slots < 4 * count; input_slots *= 2)
        ;
    inputs = calloc(input_slots, sizeof *inputs);
    rewind(file);
    while (fgets(line, sizeof line, file)) {
        struct stat s;
        line[strcspn(line, "\n")] = 0;
        if (stat(line, &s))
            die("input %s: %s", line, strerror(errno));
        struct input *slot = input_slot(s.st_dev, s.st_ino);
        slot->device = s.st_dev;
        slot->inode = s.st_ino;
    }
    fclose(file);
}

static long long total_position;

static void follow_descriptors(int pid)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *directory = opendir(path);
    if (!directory)
        return;
    for (struct dirent *entry; (entry = readdir(directory));) {
        struct stat s;
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        if (fstatat(dirfd(directory), entry->d_name, &s, 0) || !S_ISREG(s.st_mode))
            continue;
        struct input *slot = input_slot(s.st_dev, s.st_ino);
        if (!slot->inode)
            continue;
        snprintf(path, sizeof path, "/proc/%d/fdinfo/%.10s", pid, entry->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        reread(fd, text, sizeof text);
        close(fd);
        long long position = !strncmp(text, "pos:", 4) ? atoll(text + 4) : 0;
        if (position > slot->position) {
            total_position += position - slot->position;
            slot->position = position;
        }
    }
    closedir(directory);
}

/* Bytes read by processes, the dead ones at their last sighting. */
static struct { int pid; long long rchar; } seen[1 << 14];

static void follow_processes(long long *rchar, long *threads)
{
    static long long total_rchar;
    static char pids[MAX_GROUP_PROCESSES * 8];
    *threads = 0;
    read_processes(pids, sizeof pids);
    for (char *p = pids; *p;) {
        char path[64], text[1024];
        int pid = (int)strtol(p, &p, 10);
        while (*p == '\n')
            p++;
        snprintf(path, sizeof path, "/proc/%d/io", pid);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            reread(fd, text, sizeof text);
            close(fd);
            long long value = field(text, "rchar:");
            size_t i = (size_t)pid & (sizeof seen / sizeof *seen - 1);
            if (seen[i].pid != pid) {
                seen[i].pid = pid;
                seen[i].rchar = 0;
            }
            if (value > seen[i].rchar) {
                total_rchar += value - seen[i].rchar;
                seen[i].rchar = value;
            }
        }
        snprintf(path, sizeof path, "/proc/%d/stat", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            reread(fd, text, sizeof text);
            close(fd);
            char *after = strrchr(text, ')');
            int column = 2;
            for (char *word = after ? strtok(after + 1, " ") : NULL; word; word = strtok(NULL, " "))
                if (++column == 20)
                    *threads += atol(word);
        }
        if (inputs)
            follow_descriptors(pid);
    }
    *rchar = total_rchar;
}

static void redirect(const char *path, int flags, int target)
{
    int fd = open(path, flags, 0644);
    if (fd < 0 || dup2(fd, target) < 0)
        die("cannot open %s: %s", path, strerror(errno));
    close(fd);
}

int main(int argc, char **argv)
{
    const char *summary = NULL, *samples = NULL, *list = NULL, *cwd = NULL;
    const char *in = "/dev/null", *out = "/dev/null", *err = NULL;
    long interval = 2000;
    for (int c; (c = getopt(argc, argv, "+i:s:f:c:0:1:2:o:")) != -1;) {
        switch (c) {
        case 'i': interval = atol(optarg); break;
        case 's': samples = optarg; break;
        case 'f': list = optarg; break;
        case 'c': cwd = optarg; break;
        case '0': in = optarg; break;
        case '1': out = optarg; break;
        case '2': err = optarg; break;
        case 'o': summary = optarg; break;
        default: return 125;
        }
    }
    if (!summary || optind >= argc || interval < 100)
        die("usage: measure [-i US] [-s SAMPLES] [-f INPUTS] [-c CWD] [-0 IN] [-1 OUT] [-2 ERR] -o SUMMARY -- COMMAND...");
    if (list)
        load_inputs(list);
    FILE *stream = samples ? fopen(samples, "w") : NULL;
    if (samples && !stream)
        die("cannot write %s: %s", samples, strerror(errno));
    make_groups();
    /* Orphans of the command become ours, so that they can be waited for. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    signal(SIGINT, SIG_IGN);

    double start = now();
    pid_t child = fork();
    if (child < 0)
        die("fork: %s", strerror(errno));
    if (child == 0) {
        signal(SIGINT, SIG_DFL);
        join(memory_group);
        if (!is_v2)
            join(cpu_group);
        if (cwd && chdir(cwd))
            die("cannot enter %s: %s", cwd, strerror(errno));
        redirect(in, O_RDONLY, 0);
        redirect(out, O_WRONLY | O_CREAT | O_TRUNC, 1);
        if (err)
            redirect(err, O_WRONLY | O_CREAT | O_TRUNC, 2);
        execvp(argv[optind], argv + optind);
        die("cannot run %s: %s", argv[optind], strerror(errno));
    }
    /* Ahead of the command whenever the interval is over, as both cores may
     * be busy with it; the poll itself takes a few hundredths of it. */
    setpriority(PRIO_PROCESS, 0, -10);

    long long peak = 0, peak_kernel = 0, peak_total = 0, polls = 0;
    double longest = 0, last = start, end = 0;
    int status = 0;
    for (struct timespec pause = {0, interval * 1000};; nanosleep(&pause, NULL)) {
        struct rusage ignored;
        pid_t done = wait4(child, &status, WNOHANG, &ignored);
        double t = now();
        if (t - last > longest)
            longest = t - last;
        last = t;
        if (done == child) {
            end = t;
            break;
        }
        long long memory, kernel, cpu = 0, rchar = 0;
        long threads = 0;
        read_memory(&memory, &kernel);
        if (memory > peak)
            peak = memory;
        if (kernel > peak_kernel)
            peak_kernel = kernel;
        if (memory + kernel > peak_total)
            peak_total = memory + kernel;
        polls++;
        if (stream) {
            cpu = read_cpu();
            follow_processes(&rchar, &threads);
            fprintf(stream, "%.6f %lld %lld %lld %lld %lld %ld\n", t - start, cpu, memory,
                    kernel, total_position, rchar, threads);
        }
    }
    /* Whatever it left running is no part of it. */
    char pids[4096];
    read_processes(pids, sizeof pids);
    for (char *p = pids; *p;) {
        kill((pid_t)strtol(p, &p, 10), SIGKILL);
        while (*p == '\n')
            p++;
    }
    while (waitpid(-1, NULL, 0) > 0)
        ;
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    long long cpu = read_cpu();
    if (stream)
        fclose(stream);
    FILE *file = fopen(summary, "w");
    if (!file)
        die("cannot write %s: %s", summary, strerror(errno));
    fprintf(file, "wall_seconds %.6f\ncpu_seconds %.6f\n", end - start, cpu / 1e9);
    fprintf(file, "user_seconds %.6f\nsystem_seconds %.6f\n",
            usage.ru_utime.tv_sec + usage.ru_utime.tv_usec / 1e6,
            usage.ru_stime.tv_sec + usage.ru_stime.tv_usec / 1e6);
    fprintf(file, "peak_memory_bytes %lld\npeak_kernel_bytes %lld\npeak_with_kernel_bytes %lld\n", peak,
            peak_kernel, peak_total);
    fprintf(file, "largest_process_bytes %lld\n", (long long)usage.ru_maxrss * 1024);
    fprintf(file, "polls %lld\nlongest_gap_seconds %.6f\n", polls, longest);
    fprintf(file, "exit_code %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    fclose(file);
    return 0;
}
