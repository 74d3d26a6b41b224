#include "server_process.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "harness.hpp"

namespace harness {

namespace {

constexpr const char* config = R"([server]
shipped = false
device = "cpu"

[generators.tiny]
kind = "pixels"
shape = [3, 4, 4]
)";

std::string read(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void nap() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

pid_t start_process(const std::vector<std::string>& command, const std::string& output) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t process = fork();
  if (process < 0) throw Failure("cannot start a process");
  if (process > 0) return process;
  const int file = open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(file, STDOUT_FILENO);
  dup2(file, STDERR_FILENO);
  execvp(arguments.front(), arguments.data());
  _exit(127);
}

}  // namespace

Folder::Folder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "bam-cpp-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw Failure("cannot make a folder");
  path_ = pattern;
}

Folder::~Folder() {
  std::error_code ignored;  // a test does not fail because a file stays
  std::filesystem::remove_all(path_, ignored);
}

std::string Folder::write(const std::string& name, const std::string& text) const {
  const std::string path = path_ + "/" + name;
  std::ofstream(path) << text;
  return path;
}

Program::Program(const std::vector<std::string>& command, std::string output)
    : output_(std::move(output)), process_(start_process(command, output_)) {}

Program::~Program() {
  if (running()) {
    signal(SIGKILL);
    waitpid(process_, nullptr, 0);
  }
}

void Program::signal(int number) const { ::kill(process_, number); }

bool Program::running() {
  if (ended_) return false;
  int status = 0;
  if (waitpid(process_, &status, WNOHANG) != process_) return true;
  ended_ = true;
  code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return false;
}

int Program::wait(double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (running()) {
    if (std::chrono::steady_clock::now() > end) throw Failure("a process does not end");
    nap();
  }
  return code_;
}

std::string Program::printed() const { return read(output_); }

void Program::await(const std::string& text) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (printed().find(text) == std::string::npos) {
    if (!running() || std::chrono::steady_clock::now() > end) {
      throw Failure("a process did not print '" + text + "', but: " + printed());
    }
    nap();
  }
}

std::string python() {
  const char* path = std::getenv("BLACKBOX_AM_PYTHON");
  if (path == nullptr) {
    throw Failure("set BLACKBOX_AM_PYTHON to a Python with the package blackbox_am");
  }
  return path;
}

Server::Server(const std::string& more_config, std::vector<std::string> options)
    : options_(std::move(options)) {
  folder_.write("server.toml", std::string(config) + more_config);
  start();
}

void Server::start() {
  const std::string ready = folder_.path() + "/address";
  std::filesystem::remove(ready);
  std::vector<std::string> command{python(), "-m", "blackbox_am.cli", "serve", "--address",
                                   address_, "--store", folder_.path() + "/studies.sqlite3",
                                   "--ready-file", ready, "--config",
                                   folder_.path() + "/server.toml"};
  command.insert(command.end(), options_.begin(), options_.end());
  program_ = std::make_unique<Program>(command, folder_.path() + "/server.log");
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(90);
  std::string found;
  while (found.find('\n') == std::string::npos && found.find(':') == std::string::npos) {
    if (!program_->running() || std::chrono::steady_clock::now() > end) {
      throw Failure("the server did not start: " + program_->printed());
    }
    nap();
    found = read(ready);
  }
  address_ = found.substr(0, found.find('\n'));
}

void Server::kill() {
  program_->signal(SIGKILL);
  program_->wait();
}

void Server::stop() {
  program_->signal(SIGTERM);
  program_->wait();
}

}  // namespace harness
