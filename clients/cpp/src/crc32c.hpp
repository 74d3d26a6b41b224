/// CRC-32C (Castagnoli), the checksum of chunks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace blackbox_am {

[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> data) noexcept;

}  // namespace blackbox_am
