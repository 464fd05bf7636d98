/*
 * The command line, as Fluent Bit has it:
 *   testhost -e flb-in_x.so -i x -p k=v -t TAG -F y -m MATCH -p k=v -o z -m MATCH -p k=v -f SECONDS
 *   testhost -e flb-in_x.so -i x -h
 * and what only a test host has: --once (end when every raw_chunk is delivered), --null-calls,
 * --metrics FILE, --grace SECONDS.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"

struct host host;

int flb_main(int argc, char **argv);

/* Like the real main thread: it only waits for a signal or the engine's end. */
static void *wait_for_signal(void *unused)
{
    sigset_t wanted;
    int signal_number;
    (void) unused;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGTERM);
    sigaddset(&wanted, SIGINT);
    while (sigwait(&wanted, &signal_number) == 0) {
        flb_log_print(FLB_LOG_WARN, NULL, 0, "[engine] caught signal (%s)", strsignal(signal_number));
        engine_stop(0, false);
    }
    return NULL;
}

static int usage(const char *message, const char *argument)
{
    fprintf(stderr, "testhost: %s%s\n", message, argument != NULL ? argument : "");
    return 1;
}

/* 0: go on, 1: error, 2: done */
static int read_arguments(int argc, char **argv)
{
    struct instance *instance = NULL;
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argument, "--once") == 0) {
            host.once = true;
            continue;
        }
        if (strcmp(argument, "--null-calls") == 0) {
            host.null_calls = true;
            continue;
        }
        if (strcmp(argument, "-v") == 0) {
            host.log_level = FLB_LOG_DEBUG;
            continue;
        }
        if (strcmp(argument, "-q") == 0) {
            host.log_level = FLB_LOG_ERROR;
            continue;
        }
        if (strcmp(argument, "-V") == 0 || strcmp(argument, "--version") == 0) {
            printf("Fluent Bit test host v%d.%d.%d\n", HOST_VERSION / 10000, HOST_VERSION / 100 % 100,
                   HOST_VERSION % 100);
            return 2;
        }
        if (strcmp(argument, "-h") == 0) {
            if (instance == NULL) {
                return usage("-h needs a plugin", NULL);
            }
            instance_help(instance->plugin);
            return 2;
        }
        if (value == NULL) {
            return usage("no value for ", argument);
        }
        i++;
        if (strcmp(argument, "-e") == 0) {
            if (plugin_load(value) != 0) {
                return 1;
            }
        }
        else if (strcmp(argument, "-i") == 0 || strcmp(argument, "-F") == 0 || strcmp(argument, "-o") == 0) {
            enum kind kind = argument[1] == 'i' ? INPUT : argument[1] == 'F' ? FILTER : OUTPUT;
            instance = instance_new(kind, value);
            if (instance == NULL) {
                return usage("there is no plugin ", value);
            }
        }
        else if (strcmp(argument, "-p") == 0 || strcmp(argument, "-m") == 0 || strcmp(argument, "-t") == 0) {
            char *text = host_strdup(value);
            char *separator = strchr(text, '=');
            int result;
            if (instance == NULL || (argument[1] == 'p' && separator == NULL)) {
                free(text);
                return usage("no instance or no KEY=VALUE: ", value);
            }
            if (argument[1] == 'p') {
                *separator = '\0';
                result = instance_set(instance, text, separator + 1);
            }
            else {
                result = instance_set(instance, argument[1] == 'm' ? "match" : "tag", text);
            }
            free(text);
            if (result != 0) {
                return usage("invalid value: ", value);
            }
        }
        else if (strcmp(argument, "-f") == 0) {
            host.flush_seconds = strtod(value, NULL);
        }
        else if (strcmp(argument, "--grace") == 0) {
            INT_AT(host.config, gen.config->grace) = (int) strtol(value, NULL, 10);
        }
        else if (strcmp(argument, "--metrics") == 0) {
            host.metrics_path = value;
        }
        else {
            return usage("unknown argument ", argument);
        }
    }
    return 0;
}

/* Exported, as Fluent Bit's own is. */
int flb_main(int argc, char **argv)
{
    sigset_t blocked;
    pthread_t signals;
    int status;
    int ready;

    generation_select();
    objects_fill();
    config_new();
    host.log_level = FLB_LOG_INFO;
    host.flush_seconds = 1;
    plugins_add_builtin();
    ready = read_arguments(argc, argv);
    if (ready != 0) {
        while (host.instances != NULL) {
            struct instance *next = host.instances->next;
            instance_free(host.instances);
            host.instances = next;
        }
        plugins_free();
        config_free();
        return ready == 2 ? 0 : 1;
    }
    if (host.instances == NULL) {
        return usage("nothing to run", NULL);
    }
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    if (pthread_create(&signals, NULL, wait_for_signal, NULL) != 0) {
        fail("no thread");
    }
    if (engine_start() != 0) {
        status = 1;
    }
    else {
        status = engine_wait();
    }
    pthread_cancel(signals);
    pthread_join(signals, NULL);
    plugins_free();
    config_free();
    return status;
}

int main(int argc, char **argv)
{
    return flb_main(argc, argv);
}
