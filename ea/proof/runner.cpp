// Runs an Expert Advisor: OnInit, OnTimer as often as it asked for, OnDeinit. EA_SOURCE is the file it is in.
//
// What it says goes to standard output, a JSON object a line: {"kind": "print", "text": "..."}. What it is told comes a
// line a command on standard input, between two events; each is answered by {"kind": "done", "text": "..."}.
#include <poll.h>
#include <unistd.h>

#include <iostream>

#include "terminal.h"

#include EA_SOURCE

namespace {

using proof::platform;
using proof::tell;

void write_as_json(const char *kind, const std::string &text) {
    std::cout << "{\"kind\": " + proof::json_text(kind) + ", \"text\": " + proof::json_text(text) + "}" << std::endl;
}

// Commands as they come; standard input that ends is the end of whoever started this.
class Commands {
 public:
    // Waits at most so many real milliseconds, and does what has come meanwhile.
    void wait(long milliseconds) {
        pollfd one = {STDIN_FILENO, POLLIN, 0};
        if (::poll(&one, 1, static_cast<int>(milliseconds)) <= 0) return;
        char part[4096];
        const long got = ::read(STDIN_FILENO, part, sizeof part);
        if (got <= 0) return end(REASON_CLOSE);
        come_.append(part, static_cast<std::size_t>(got));
        for (std::size_t end; (end = come_.find('\n')) != std::string::npos; come_.erase(0, end + 1))
            obey(come_.substr(0, end));
    }
    int reason = -1;

 private:
    std::string come_ = {};

    void end(int why) {
        reason = why;
        platform().stopped = true;
    }

    void obey(const std::string &line) {
        const std::size_t space = std::min(line.find(' '), line.size());
        const std::string word = line.substr(0, space), rest = line.substr(std::min(space + 1, line.size()));
        std::string answer = "ok";
        if (word == "panel") answer = proof::panel();
        else if (word == "skew") platform().skew_seconds = std::stol(rest);
        else if (word == "kill") platform().kill_at = rest == "0" ? 0 : platform().points + std::stol(rest);
        else if (word == "advance") platform().advanced_ms += std::stol(rest);
        else if (word == "jump") platform().jumped_ms += std::stol(rest);
        else if (word == "allow") platform().expert_allowed = rest == "1";
        else if (word == "disk") platform().disk = rest;
        else if (word == "points") answer = std::to_string(platform().points);
        else if (word == "stop") end(rest.empty() ? REASON_REMOVE : std::stoi(rest));
        else answer = "unknown";
        tell("done", answer);
    }
};

// Returns the reason for which it ended.
int live(Commands &commands) {
    const long most = std::stol(proof::setting("EA_TICKS", "0"));
    long due = proof::program_ms() + platform().timer_ms;
    for (long ticks = 0; most == 0 || ticks < most;) {
        const long left = due - proof::program_ms();
        const double real = platform().timer_ms == 0 ? 50.0 : static_cast<double>(left) / platform().speed;
        commands.wait(real > 0 ? static_cast<long>(real) + 1 : 0);
        if (commands.reason >= 0) return commands.reason;
        if (platform().removed) return REASON_PROGRAM;
        if (platform().timer_ms == 0 || proof::program_ms() < due) continue;
        proof::broker().look_again();
        OnTimer();
        ticks++;
        // Events of the timer do not pile up: one that is late is one.
        due = std::max(due + platform().timer_ms, proof::program_ms());
    }
    return REASON_REMOVE;
}

int run() {
    Commands commands;
    const int begun = OnInit();
    tell("init", std::to_string(begun));
    const int reason = begun == INIT_SUCCEEDED ? live(commands) : REASON_INITFAILED;
    platform().stopped = true;
    OnDeinit(reason);
    proof::close_files();
    proof::globals().keep();
    tell("deinit", std::to_string(reason));
    return begun == INIT_SUCCEEDED ? 0 : 3;
}

}  // namespace

int main() {
    proof::writer() = write_as_json;
    try {
        return run();
    } catch (const std::exception &error) {
        tell("critical", error.what());
        return 70;
    }
}
