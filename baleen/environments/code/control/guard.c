/* Preloaded into the test programs that CTest runs: those in the build folder, and no other program.
 *
 * GUARD=watch:   a program that exits before its `main` returned exits with 98, so that code under test cannot end a
 *                test as passed.
 * GUARD=control: a `main` that returned exits with 97, so every test must fail; one that passes went around `main`.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int guarded, control, returned;
static int (*test_main)(int, char **, char **);

static void leave(const char *name, int code) {
  void (*real)(int) = (void (*)(int))dlsym(RTLD_NEXT, name);
  real(guarded && !returned ? 98 : code);
  __builtin_unreachable();
}

void exit(int code) { leave("exit", code); }
void _exit(int code) { leave("_exit", code); }
void _Exit(int code) { leave("_Exit", code); }
void quick_exit(int code) { leave("quick_exit", code); }

static int watched_main(int argc, char **argv, char **envp) {
  int code = test_main(argc, argv, envp);
  returned = 1;
  return control ? 97 : code;
}

int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void), void *stack_end) {
  char path[4096];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  const char *mode = getenv("GUARD");
  int (*start)(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void), void *);
  start = dlsym(RTLD_NEXT, "__libc_start_main");
  guarded = length > 0 && !strncmp(path, "/tmp/build/", 11);
  control = guarded && mode && !strcmp(mode, "control");
  test_main = main;
  return start(guarded ? watched_main : main, argc, argv, init, fini, rtld_fini, stack_end);
}
