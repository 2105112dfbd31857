// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <prefer/parallel/communicator.hpp>

namespace prefer::test {

/// A communicator without what is not asked for: what runs on it shares nothing out.
template <Communicator Processes>
class plain_processes {
 public:
  explicit plain_processes(Processes const& of) : of_(of) {}
  [[nodiscard]] std::size_t rank() const { return of_.rank(); }
  [[nodiscard]] std::size_t size() const { return of_.size(); }
  void all_sum(std::span<double> values) const { of_.all_sum(values); }
  void all_sum(std::span<float> values) const { of_.all_sum(values); }
  void broadcast(std::span<std::byte> bytes, std::size_t from) const { of_.broadcast(bytes, from); }
  [[nodiscard]] std::vector<double> all_gather(std::span<double const> mine) const {
    return of_.all_gather(mine);
  }

 private:
  Processes of_;
};

}  // namespace prefer::test
