#include "harness.hpp"

#include <chrono>
#include <iostream>

namespace harness {

std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

void fail(const char* file, int line, const std::string& text) {
  throw Failure(std::string(file) + ":" + std::to_string(line) + ": " + text);
}

}  // namespace harness

/// Runs the tests whose names contain the first argument.
int main(int count, char** values) {
  const std::string part = count > 1 ? values[1] : "";
  int failed = 0;
  for (const harness::Test& test : harness::tests()) {
    if (test.name.find(part) == std::string::npos) continue;
    const auto start = std::chrono::steady_clock::now();
    std::string problem;
    try {
      test.run();
    } catch (const std::exception& error) {
      problem = error.what();
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::cout << (problem.empty() ? "ok      " : "FAILED  ") << test.name << " (" << took.count()
              << " s) " << problem << std::endl;
    failed += problem.empty() ? 0 : 1;
  }
  return failed == 0 ? 0 : 1;
}
