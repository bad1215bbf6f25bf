// What stands around a program in a terminal: settings, the clock, the last error, and where a kill can strike.
#ifndef COUNTERSIGN_PROOF_PLATFORM_H
#define COUNTERSIGN_PROOF_PLATFORM_H

#include <csignal>
#include <ctime>

#include "mql.h"

namespace proof {

// Settings come from the environment of the process.
inline std::string setting(const char *name, const std::string &otherwise = "") {
    const char *given = std::getenv(name);
    return given ? std::string(given) : otherwise;
}
inline double number_setting(const char *name, double otherwise) {
    const std::string given = setting(name);
    return given.empty() ? otherwise : std::stod(given);
}

// What a terminal keeps of one program.
struct Platform {
    int last_error = 0;
    long points = 0;
    long kill_at = std::stol(setting("EA_KILL_AT", "0"));
    bool tells_points = setting("EA_COUNT_CALLS") == "1";
    double speed = number_setting("EA_SPEED", 1);
    long skew_seconds = std::stol(setting("EA_CLOCK_SKEW_SECONDS", "0"));
    long zone_seconds = std::stol(setting("EA_TIME_ZONE_SECONDS", "0"));
    bool expert_allowed = setting("EA_TRADE_ALLOWED", "1") == "1";
    std::string disk = setting("EA_DISK", "good");  // or "full", "read-only", or "stuck": nothing can be moved
    long timer_ms = 0;
    long advanced_ms = 0;  // that have passed for the program and for its quotes
    long jumped_ms = 0;    // by which its ticks alone are wrong, as after a sleep of the computer
    bool removed = false;
    bool stopped = false;
};

inline Platform &platform() {
    static Platform kept;
    return kept;
}

inline void tell(const char *kind, const std::string &text) { writer()(kind, text); }

// A place where the computer can lose its power. What the process had not handed to its system is gone then.
inline void point(const char *name) {
    Platform &kept = platform();
    kept.points++;
    if (kept.points == kept.kill_at) ::raise(SIGKILL);
    if (kept.tells_points) tell("point", name);
}

// Sets the error and answers what the function then answers.
template <typename T> T failed(int error, T answer) {
    platform().last_error = error;
    return answer;
}

inline long milliseconds_of(clockid_t clock) {
    timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

inline long process_ms() {
    static const long began = milliseconds_of(CLOCK_MONOTONIC);
    return milliseconds_of(CLOCK_MONOTONIC) - began;
}

// How far the program is ahead of real time: EA_SPEED is how much faster its time passes. Its quotes are as far ahead.
inline long lead_ms() {
    return platform().advanced_ms + static_cast<long>(static_cast<double>(process_ms()) * (platform().speed - 1));
}

// The program's own milliseconds.
inline long program_ms() { return process_ms() + lead_ms() + platform().jumped_ms; }

inline void pass(long program_milliseconds) {
    const long nanoseconds = static_cast<long>(static_cast<double>(program_milliseconds) * 1e6 / platform().speed);
    timespec left = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    nanosleep(&left, nullptr);
}

// Seconds UTC as this computer has them, wrong by as much as the test says; and as they are.
inline long true_seconds() { return milliseconds_of(CLOCK_REALTIME) / 1000; }
inline long computer_seconds() { return true_seconds() + platform().skew_seconds; }

}  // namespace proof

inline int GetLastError() { return proof::platform().last_error; }
inline void ResetLastError() { proof::platform().last_error = 0; }
inline void SetUserError(ushort number) { proof::platform().last_error = 65536 + number; }

inline ulong GetTickCount64() { return static_cast<ulong>(proof::program_ms() + 1000000); }
inline ulong GetMicrosecondCount() { return static_cast<ulong>(proof::program_ms() * 1000); }
inline void Sleep(int milliseconds) {
    if (milliseconds < 0) throw std::logic_error("asked in an unknown way");
    proof::pass(milliseconds);
}

inline datetime TimeGMT() { return proof::computer_seconds(); }
inline datetime TimeLocal() { return proof::computer_seconds() + proof::platform().zone_seconds; }
inline int TimeGMTOffset() { return static_cast<int>(-proof::platform().zone_seconds); }

#define TIME_DATE 1
#define TIME_MINUTES 2
#define TIME_SECONDS 4

struct MqlDateTime {
    int year;
    int mon;
    int day;
    int hour;
    int min;
    int sec;
    int day_of_week;
    int day_of_year;
};

inline bool TimeToStruct(datetime moment, MqlDateTime &parts) {
    if (moment < 0 || moment >= 32535244800) throw std::logic_error("no time that MQL5 knows");
    std::tm calendar;
    gmtime_r(&moment, &calendar);
    parts = {calendar.tm_year + 1900, calendar.tm_mon + 1, calendar.tm_mday, calendar.tm_hour, calendar.tm_min,
             calendar.tm_sec, calendar.tm_wday, calendar.tm_yday};
    return true;
}

inline datetime StructToTime(const MqlDateTime &parts) {
    std::tm calendar = {};
    calendar.tm_year = parts.year - 1900, calendar.tm_mon = parts.mon - 1, calendar.tm_mday = parts.day;
    calendar.tm_hour = parts.hour, calendar.tm_min = parts.min, calendar.tm_sec = parts.sec;
    return timegm(&calendar);
}

inline string TimeToString(datetime moment, int mode = TIME_DATE | TIME_MINUTES) {
    if (moment < 0 || moment >= 32535244800) throw std::logic_error("no time that MQL5 knows");
    std::tm calendar;
    gmtime_r(&moment, &calendar);
    char day[32] = "", clock[32] = "";
    if (mode & TIME_DATE) std::strftime(day, sizeof day, "%Y.%m.%d", &calendar);
    if (mode & (TIME_MINUTES | TIME_SECONDS))
        std::strftime(clock, sizeof clock, mode & TIME_SECONDS ? "%H:%M:%S" : "%H:%M", &calendar);
    const std::string between = *day && *clock ? " " : "";
    return string((day + between + clock).c_str());
}

inline void Alert(const string &text) { proof::tell("alert", proof::utf8(text)); }
inline void Comment(const string &text) { proof::tell("comment", proof::utf8(text)); }

#define INIT_SUCCEEDED 0
#define INIT_FAILED 1
#define INIT_PARAMETERS_INCORRECT 32767

enum ENUM_UNINIT_REASON {
    REASON_PROGRAM, REASON_REMOVE, REASON_RECOMPILE, REASON_CHARTCHANGE, REASON_CHARTCLOSE, REASON_PARAMETERS,
    REASON_ACCOUNT, REASON_TEMPLATE, REASON_INITFAILED, REASON_CLOSE
};

inline bool EventSetMillisecondTimer(int milliseconds) {
    if (milliseconds < 1) throw std::logic_error("asked in an unknown way");
    proof::platform().timer_ms = milliseconds;
    return true;
}
inline bool EventSetTimer(int seconds) { return EventSetMillisecondTimer(seconds * 1000); }
inline void EventKillTimer() { proof::platform().timer_ms = 0; }
inline void ExpertRemove() { proof::platform().removed = true; }
inline bool IsStopped() { return proof::platform().stopped; }

namespace proof {

// The value of an input: what the environment says, otherwise what the source says.
template <typename T> T input_of(const char *name, T otherwise) {
    const char *told = std::getenv((std::string("EA_INPUT_") + name).c_str());
    if (!told) return otherwise;
    const std::string given = told;
    if constexpr (std::is_same<T, string>::value)
        return text_of(given);
    else if constexpr (std::is_same<T, bool>::value)
        return given == "true";
    else if constexpr (std::is_floating_point<T>::value)
        return static_cast<T>(std::stod(given));
    else
        return static_cast<T>(std::stoll(given));
}

}  // namespace proof

#endif
