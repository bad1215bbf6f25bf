// WebRequest over a real socket, HTTP/1.1 in plain text; the harness stands for TLS and for names.
//
// EA_ALLOWED_URLS has the addresses that the owner of the terminal has allowed, parted by commas; EA_REACHED_AT is
// where everything is reached in truth, host:port. EA_LOWER_HEADERS gives answers' names as some proxies do.
#ifndef COUNTERSIGN_PROOF_WEB_H
#define COUNTERSIGN_PROOF_WEB_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "terminal/constants.h"
#include "terminal/platform.h"

namespace proof {

// A request that came to nothing; the number is what GetLastError tells.
struct NoAnswer {
    int error;
};

struct Address {
    std::string host = {};
    std::string target = {};
    std::string port = {};
};

inline Address address_of(const std::string &url) {
    const std::size_t scheme = url.find("://");
    const std::string kind = url.substr(0, scheme);
    if (scheme == std::string::npos || (kind != "http" && kind != "https") || url.size() > 1024)
        throw NoAnswer{ERR_WEBREQUEST_INVALID_ADDRESS};
    const std::size_t slash = std::min(url.find('/', scheme + 3), url.size());
    Address address;
    address.host = url.substr(scheme + 3, slash - scheme - 3);
    address.target = slash < url.size() ? url.substr(slash) : "/";
    const std::size_t colon = address.host.find(':');
    address.port = colon == std::string::npos ? (kind == "https" ? "443" : "80") : address.host.substr(colon + 1);
    if (address.host.empty() || url.find_first_of(" \r\n") != std::string::npos)
        throw NoAnswer{ERR_WEBREQUEST_INVALID_ADDRESS};
    return address;
}

inline bool is_allowed(const std::string &url) {
    const std::string allowed = setting("EA_ALLOWED_URLS") + ",";
    for (std::size_t from = 0, end; (end = allowed.find(',', from)) != std::string::npos; from = end + 1) {
        const std::string one = allowed.substr(from, end - from);
        const bool whole = url.size() == one.size() || url[std::min(one.size(), url.size() - 1)] == '/';
        if (!one.empty() && url.compare(0, one.size(), one) == 0 && whole) return true;
    }
    return false;
}

// A connection that is given up when its time is over, all its waits together.
class Connection {
 public:
    explicit Connection(int timeout_ms) : ends_(milliseconds_of(CLOCK_MONOTONIC) + timeout_ms), socket_(-1) {}
    ~Connection() {
        if (socket_ >= 0) ::close(socket_);
    }
    Connection(const Connection &) = delete;
    Connection &operator=(const Connection &) = delete;

    void reach(const std::string &host, const std::string &port) {
        sockaddr_in place = {};
        place.sin_family = AF_INET;
        place.sin_port = htons(static_cast<ushort>(std::stoi(port)));
        if (inet_pton(AF_INET, host.c_str(), &place.sin_addr) != 1) throw NoAnswer{ERR_WEBREQUEST_CONNECT_FAILED};
        socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        ::connect(socket_, reinterpret_cast<sockaddr *>(&place), sizeof place);
        await(POLLOUT);
        int error = 0;
        socklen_t size = sizeof error;
        ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) throw NoAnswer{ERR_WEBREQUEST_CONNECT_FAILED};
    }

    void send(const std::string &bytes) {
        for (std::size_t sent = 0; sent < bytes.size();) {
            await(POLLOUT);
            const long took = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
            if (took < 0) throw NoAnswer{ERR_WEBREQUEST_REQUEST_FAILED};
            sent += static_cast<std::size_t>(took);
        }
    }

    // False at the end of what the other side sends.
    bool receive(std::string &bytes) {
        char part[8192];
        await(POLLIN);
        const long got = ::recv(socket_, part, sizeof part, 0);
        if (got < 0) throw NoAnswer{ERR_WEBREQUEST_REQUEST_FAILED};
        bytes.append(part, static_cast<std::size_t>(got));
        return got > 0;
    }

 private:
    long ends_;
    int socket_;

    void await(short what) const {
        const long left = ends_ - milliseconds_of(CLOCK_MONOTONIC);
        pollfd one = {socket_, what, 0};
        if (left <= 0 || ::poll(&one, 1, static_cast<int>(left)) <= 0) throw NoAnswer{ERR_WEBREQUEST_TIMEOUT};
    }
};

// An answer on its way in: head, then a body that is as long as it says, comes in chunks, or ends with the connection.
class Answer {
 public:
    explicit Answer(Connection &connection) : connection_(connection), rest_(), head_(), body_() {}

    void read(bool has_body) {
        do head_ = until("\r\n\r\n");
        while (head_.compare(9, 1, "1") == 0);  // 100 Continue and its like come before the answer
        if (!has_body || status() == 204 || status() == 304) return;
        if (header("transfer-encoding").find("chunked") != std::string::npos) return read_chunks();
        const std::string length = header("content-length");
        if (!length.empty()) body_ = exactly(std::stoul(length));
        while (length.empty() && connection_.receive(rest_)) {
        }
        if (length.empty()) body_ = rest_;
    }

    int status() const {
        if (head_.compare(0, 7, "HTTP/1.") != 0 || head_.size() < 12) throw NoAnswer{ERR_WEBREQUEST_REQUEST_FAILED};
        return std::atoi(head_.c_str() + 9);
    }
    const std::string &body() const { return body_; }

    // Without the line of the status, as terminals hand them out.
    std::string headers() const {
        std::string told = head_.substr(std::min(head_.find("\r\n") + 2, head_.size()));
        if (setting("EA_LOWER_HEADERS") != "1") return told;
        bool is_name = true;
        for (char &unit : told) {
            is_name = unit == '\n' || (is_name && unit != ':');
            if (is_name) unit = static_cast<char>(std::tolower(static_cast<uchar>(unit)));
        }
        return told;
    }

 private:
    Connection &connection_;
    std::string rest_, head_, body_;

    std::string header(const std::string &wanted) const {
        std::string lower = head_;
        for (char &unit : lower) unit = static_cast<char>(std::tolower(static_cast<uchar>(unit)));
        const std::size_t found = lower.find("\r\n" + wanted + ":");
        if (found == std::string::npos) return "";
        const std::size_t from = lower.find_first_not_of(" \t", found + wanted.size() + 3);
        return lower.substr(from, lower.find("\r\n", from) - from);
    }
    void more() {
        if (!connection_.receive(rest_)) throw NoAnswer{ERR_WEBREQUEST_REQUEST_FAILED};
    }
    std::string until(const std::string &end) {
        while (rest_.find(end) == std::string::npos) more();
        const std::size_t size = rest_.find(end) + end.size();
        const std::string taken = rest_.substr(0, size - end.size() + 2);
        rest_.erase(0, size);
        return taken;
    }
    std::string exactly(std::size_t size) {
        while (rest_.size() < size) more();
        const std::string taken = rest_.substr(0, size);
        rest_.erase(0, size);
        return taken;
    }
    void read_chunks() {
        for (std::size_t size; (size = std::stoul(until("\r\n"), nullptr, 16)) > 0; until("\r\n")) body_ += exactly(size);
        while (until("\r\n") != "\r\n") {
        }
    }
};

inline std::string request_text(const std::string &method, const Address &address, const std::string &headers,
                                const std::string &body) {
    std::string head = headers;
    while (!head.empty() && (head.back() == '\r' || head.back() == '\n')) head.pop_back();
    if (!head.empty()) head += "\r\n";
    std::string lower = head;
    for (char &unit : lower) unit = static_cast<char>(std::tolower(static_cast<uchar>(unit)));
    if (!body.empty() && lower.find("content-type:") == std::string::npos)
        head += "Content-Type: application/x-www-form-urlencoded\r\n";
    return method + " " + address.target + " HTTP/1.1\r\nHost: " + address.host +
           "\r\nUser-Agent: MetaTrader 5 Terminal/5.6231\r\nAccept: */*\r\nConnection: close\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n" + head + "\r\n" + body;
}

inline int exchange(const std::string &method, const std::string &url, const std::string &headers, int timeout_ms,
                    const std::string &body, std::string &answered, std::string &answered_headers) {
    const Address address = address_of(url);
    if (!is_allowed(url)) throw NoAnswer{ERR_FUNCTION_NOT_ALLOWED};
    point("request");
    Connection connection(timeout_ms);
    const std::string reached = setting("EA_REACHED_AT", address.host.substr(0, address.host.find(':')) + ":" +
                                        address.port);
    connection.reach(reached.substr(0, reached.rfind(':')), reached.substr(reached.rfind(':') + 1));
    connection.send(request_text(method, address, headers, body));
    point("request sent");
    Answer answer(connection);
    answer.read(method != "HEAD");
    point("request answered");
    answered = answer.body(), answered_headers = answer.headers();
    return answer.status();
}

}  // namespace proof

// The status of the answer, or -1. The bytes of the answer have no zero behind them.
inline int WebRequest(const string &method, const string &url, const string &headers, int timeout,
                      const Arr<char> &data, Arr<char> &result, string &result_headers) {
    std::string body, answered, answered_headers;
    for (long i = 0; i < data.size(); i++) body += data[i];
    ArrayResize(result, 0);
    result_headers = string();
    try {
        const int status = proof::exchange(proof::utf8(method), proof::utf8(url), proof::utf8(headers), timeout, body,
                                           answered, answered_headers);
        ArrayResize(result, static_cast<int>(answered.size()));
        for (long i = 0; i < result.size(); i++) result[i] = answered[static_cast<std::size_t>(i)];
        result_headers = proof::text_of(answered_headers);
        return status;
    } catch (const proof::NoAnswer &none) {
        return proof::failed(none.error, -1);
    }
}

#endif
