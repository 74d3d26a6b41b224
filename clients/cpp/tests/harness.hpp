/// A small test harness: TEST(name) { CHECK(...); } and a main function.
#pragma once

#include <exception>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace harness {

class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Test {
  std::string name;
  std::function<void()> run;
};

/// The tests of this program, in the order of the file.
std::vector<Test>& tests();

struct Registered {
  Registered(std::string name, std::function<void()> run) {
    tests().push_back({std::move(name), std::move(run)});
  }
};

void fail(const char* file, int line, const std::string& text);

template <class T>
std::string shown(const T& value) {
  if constexpr (requires(std::ostringstream& out) { out << value; }) {
    std::ostringstream text;
    text << value;
    return text.str();
  } else {
    return "a value";
  }
}

template <class A, class B>
void check_equal(const char* file, int line, const char* text, const A& left, const B& right) {
  if (!(left == right)) {
    fail(file, line, std::string(text) + ": " + shown(left) + " is not " + shown(right));
  }
}

/// Fails unless `run` throws an E whose text contains `part`. Returns the error.
template <class E>
E check_throws(const char* file, int line, const std::function<void()>& run,
               const std::string& part = "") {
  try {
    run();
  } catch (const E& error) {
    if (std::string(error.what()).find(part) == std::string::npos) {
      fail(file, line, "'" + part + "' is not in: " + error.what());
    }
    return error;
  } catch (const std::exception& error) {
    fail(file, line, std::string("another error: ") + error.what());
  }
  fail(file, line, "nothing was thrown");
  throw Failure("not reached");
}

}  // namespace harness

#define TEST(NAME)                                                    \
  static void NAME();                                                 \
  static const harness::Registered registered_##NAME(#NAME, NAME);    \
  static void NAME()

#define CHECK(...) \
  ((__VA_ARGS__) ? void() : harness::fail(__FILE__, __LINE__, #__VA_ARGS__))
#define CHECK_EQUAL(A, B) harness::check_equal(__FILE__, __LINE__, #A " == " #B, (A), (B))
/// CHECK_THROWS(Error, "part of the text", statement); returns the error.
#define CHECK_THROWS(E, PART, ...) \
  harness::check_throws<E>(__FILE__, __LINE__, [&] { static_cast<void>(__VA_ARGS__); }, PART)
