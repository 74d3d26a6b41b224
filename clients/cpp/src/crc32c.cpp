#include "crc32c.hpp"

#include <array>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__)
#define BLACKBOX_AM_SSE42 1
#include <nmmintrin.h>
#endif

namespace blackbox_am {

namespace {

constexpr std::uint32_t polynomial = 0x82F63B78;  // reversed

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? polynomial : 0);
    table[byte] = value;
  }
  return table;
}

constexpr auto table = make_table();

std::uint32_t by_table(std::span<const std::byte> data) noexcept {
  std::uint32_t value = 0xFFFFFFFF;
  for (const std::byte byte : data) {
    value = (value >> 8) ^ table[(value ^ static_cast<std::uint32_t>(byte)) & 0xFF];
  }
  return ~value;
}

#ifdef BLACKBOX_AM_SSE42
__attribute__((target("sse4.2"))) std::uint32_t by_instruction(
    std::span<const std::byte> data) noexcept {
  std::uint64_t value = 0xFFFFFFFF;
  std::size_t at = 0;
  for (; at + 8 <= data.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data.data() + at, 8);
    value = _mm_crc32_u64(value, word);
  }
  auto rest = static_cast<std::uint32_t>(value);
  for (; at < data.size(); ++at) {
    rest = _mm_crc32_u8(rest, static_cast<unsigned char>(data[at]));
  }
  return ~rest;
}
#endif

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> data) noexcept {
#ifdef BLACKBOX_AM_SSE42
  static const bool supported = __builtin_cpu_supports("sse4.2") != 0;
  if (supported) return by_instruction(data);
#endif
  return by_table(data);
}

}  // namespace blackbox_am
