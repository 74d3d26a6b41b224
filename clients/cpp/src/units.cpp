#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "blackbox_am/errors.hpp"
#include "blackbox_am/oracle_server.hpp"

namespace blackbox_am {

namespace {

constexpr std::array<std::string_view, 5> reductions{"mean", "max", "min", "sum", "square"};
constexpr std::size_t most_digits = 18;  // of an index: more do not fit into 64 bits

/// Reads an address from left to right.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Unit read() {
    Unit unit;
    unit.address = text_;
    unit.layer = part();
    while (take('.')) unit.layer += '.' + part();
    if (take(':')) unit.index = number();
    if (take('@')) unit.position = position();
    if (take('!')) unit.reduce = letters();
    if (at_ != text_.size()) fail();
    if (std::find(reductions.begin(), reductions.end(), unit.reduce) == reductions.end()) {
      throw InvalidInput("'" + unit.address + "': unknown reduction '" + unit.reduce +
                             "'; expected mean, max, min, sum or square",
                         {.field = "units"});
    }
    return unit;
  }

 private:
  [[noreturn]] void fail() const {
    throw InvalidInput("'" + std::string(text_.substr(0, 120)) +
                           "' is not a unit; expected layer[:index][@position][!reduce], such as "
                           "'fc:3', 'layer2.0.conv1:7@center' or 'blocks.6.mlp.fc1:713!max'; a "
                           "name with other characters is written in double quotes",
                       {.field = "units"});
  }

  [[nodiscard]] bool more() const { return at_ < text_.size(); }

  bool take(char expected) {
    if (!more() || text_[at_] != expected) return false;
    ++at_;
    return true;
  }

  std::string part() {
    const std::string found = take('"') ? quoted() : bare();
    if (found.empty()) fail();
    return found;
  }

  std::string quoted() {
    std::string found;
    while (more() && text_[at_] != '"') {
      if (text_[at_] == '\\') {
        ++at_;
        if (!more() || (text_[at_] != '"' && text_[at_] != '\\')) fail();
      }
      found += text_[at_++];
    }
    if (!take('"')) fail();
    return found;
  }

  std::string bare() {
    const std::size_t start = at_;
    while (more() && std::string_view(".:@!\"\\").find(text_[at_]) == std::string_view::npos) {
      if (std::iscntrl(static_cast<unsigned char>(text_[at_])) != 0) fail();
      ++at_;
    }
    const std::string found(text_.substr(start, at_ - start));
    if (!found.empty() && (found.front() == ' ' || found.back() == ' ')) fail();
    return found;
  }

  std::int64_t number() {
    const std::size_t start = at_;
    while (more() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
    if (at_ == start || at_ - start > most_digits) fail();
    return std::stoll(std::string(text_.substr(start, at_ - start)));
  }

  std::string position() {
    for (const std::string_view word : {"center", "cls"}) {
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return std::string(word);
      }
    }
    const std::size_t start = at_;
    do {
      static_cast<void>(number());
    } while (take(','));
    return std::string(text_.substr(start, at_ - start));
  }

  std::string letters() {
    const std::size_t start = at_;
    while (more() && text_[at_] >= 'a' && text_[at_] <= 'z') ++at_;
    if (at_ == start) fail();
    return std::string(text_.substr(start, at_ - start));
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Unit Unit::parse(const std::string& address) { return Reader(address).read(); }

}  // namespace blackbox_am
