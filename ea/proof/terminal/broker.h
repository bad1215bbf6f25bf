// The line to the broker: its messages are a length in four bytes and JSON, as the sandbox's broker speaks.
#ifndef COUNTERSIGN_PROOF_BROKER_H
#define COUNTERSIGN_PROOF_BROKER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "terminal/json.h"
#include "terminal/platform.h"

namespace proof {

// A question that was sent and not answered.
struct Cut : std::runtime_error {
    Cut() : std::runtime_error("the line was cut") {}
};

class Broker {
 public:
    static const long REMEMBERED_MS = 10;

    ~Broker() { hang_up(); }

    // The answer, or nothing where the broker cannot be reached or has none. `sent` is called between.
    Json ask(const std::string &call, const std::string &arguments, void (*sent)() = nullptr) {
        if (!signed_in()) return Json();
        if (sent) look_again(), lags_until_ms_ = program_ms() + lag_ms_;
        try {
            return exchange(call, arguments, sent).at("ok");
        } catch (const Cut &) {
            hang_up();
            if (sent) throw;
            return Json();
        }
    }

    void look_again() { asked_ms_.clear(); }

    // Whether the terminal has its trade server.
    bool connected() { return fresh("terminal_info", "{}").at("connected").truth(); }

    // Without a connection a terminal shows what it knew last; one that was started anew knows nothing.
    const Json &seen(const std::string &call, const std::string &arguments = "{}") {
        return connected() ? fresh(call, arguments) : kept_[call + arguments];
    }

 private:
    int socket_ = -1;
    std::map<std::string, Json> kept_ = {};
    std::map<std::string, long> asked_ms_ = {};
    long lag_ms_ = std::stol(setting("EA_LAG_MS", "0"));
    long lags_until_ms_ = lag_ms_;

    // Of what is open and what was traded a terminal hears later than it is so, and than it has an answer to an order;
    // one that was just started hears of it later than it is connected.
    bool lags(const std::string &call) const {
        const bool of_trades = call == "positions_get" || call == "orders_get" || call.compare(0, 7, "history") == 0;
        return of_trades && program_ms() < lags_until_ms_;
    }

    // What was asked a moment ago is not asked again, unless something was sent since or another event has come: a
    // terminal hears of changes a little later as well.
    const Json &fresh(const std::string &call, const std::string &arguments) {
        Json &kept = kept_[call + arguments];
        if (lags(call)) return kept;
        const long now = milliseconds_of(CLOCK_MONOTONIC);
        const auto asked = asked_ms_.find(call + arguments);
        if (asked != asked_ms_.end() && now - asked->second < REMEMBERED_MS) return kept;
        kept = ask(call, arguments);
        asked_ms_[call + arguments] = now;
        return kept;
    }

    void hang_up() {
        if (socket_ >= 0) ::close(socket_);
        socket_ = -1;
    }

    bool signed_in() {
        if (socket_ >= 0) return true;
        const std::string address = setting("EA_BROKER");
        if (address.empty() || !reach(address)) return false;
        try {
            const Json answer = exchange("login", "{\"login\": " + setting("EA_LOGIN", "0") +
                                         ", \"password\": " + json_text(setting("EA_PASSWORD")) +
                                         ", \"server\": " + json_text(setting("EA_SERVER")) + "}", nullptr);
            if (answer.at("ok").truth()) return true;
        } catch (const Cut &) {
        }
        hang_up();
        return false;
    }

    bool reach(const std::string &address) {
        const std::size_t colon = address.rfind(':');
        sockaddr_in place = {};
        place.sin_family = AF_INET;
        place.sin_port = htons(static_cast<ushort>(std::stoi(address.substr(colon + 1))));
        inet_pton(AF_INET, address.substr(0, colon).c_str(), &place.sin_addr);
        socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (::connect(socket_, reinterpret_cast<sockaddr *>(&place), sizeof place) == 0) return true;
        hang_up();
        return false;
    }

    Json exchange(const std::string &call, const std::string &arguments, void (*sent)()) {
        const std::string body = "{\"call\": " + json_text(call) + ", \"args\": " + arguments + "}";
        const uint length = htonl(static_cast<uint>(body.size()));
        std::string message(reinterpret_cast<const char *>(&length), sizeof length);
        message += body;
        if (::send(socket_, message.data(), message.size(), MSG_NOSIGNAL) != static_cast<long>(message.size()))
            throw Cut();
        if (sent) sent();
        uint answered = 0;
        read_exactly(reinterpret_cast<char *>(&answered), sizeof answered);
        std::string answer(ntohl(answered), 0);
        read_exactly(answer.data(), answer.size());
        return json_of(answer);
    }

    void read_exactly(char *place, std::size_t size) {
        while (size > 0) {
            const long got = ::recv(socket_, place, size, 0);
            if (got <= 0) throw Cut();
            place += got, size -= static_cast<std::size_t>(got);
        }
    }
};

inline Broker &broker() {
    static Broker one;
    return one;
}

}  // namespace proof

#endif
