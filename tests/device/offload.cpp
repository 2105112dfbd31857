// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <utility>
#include <vector>

#include <omp.h>

#include <prefer/batch/record_from.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/exo.hpp>
#include <prefer/loss/hinge.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/odpo.hpp>
#include <prefer/loss/orpo.hpp>
#include <prefer/loss/rebel.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/objective/loss_pass.hpp>
#include <prefer/testing/sample_columns.hpp>

// The loss pass in a device image, which the compiler makes apart from the host's code by OpenMP's target directives, run by
// whatever device the plugin has: of losses with each function of scalars, one with a state and one that reads scores. It fails
// where a row was computed by the host, and where a number is not that of the host.

namespace {

/// Numbers in the device's memory. Absent by default.
struct device_numbers {
  using offsets = std::span<std::size_t const>;

  double const* at = nullptr;
  std::size_t count = 0;

  [[nodiscard]] constexpr bool present() const { return at != nullptr; }
  [[nodiscard]] constexpr std::size_t size() const { return count; }
};
struct number_at {
  constexpr double operator()(device_numbers const& of, std::size_t row) const {
    return of.at[row];
  }
};

class device_memory {
 public:
  explicit device_memory(std::vector<double> const& from) : device_memory(from.size()) {
    copy(at_, const_cast<double*>(from.data()), omp_get_default_device(), host());
  }
  explicit device_memory(std::size_t count)
      : at_(static_cast<double*>(
            omp_target_alloc(count * sizeof(double), omp_get_default_device()))),
        count_(count) {}
  device_memory(device_memory&& from) noexcept
      : at_(std::exchange(from.at_, nullptr)), count_(from.count_) {}
  device_memory& operator=(device_memory&&) = delete;
  ~device_memory() { omp_target_free(at_, omp_get_default_device()); }

  [[nodiscard]] device_numbers view() const { return {at_, count_}; }
  [[nodiscard]] double* data() const { return at_; }
  [[nodiscard]] std::vector<double> to_host() const {
    std::vector<double> out(count_);
    copy(out.data(), at_, host(), omp_get_default_device());
    return out;
  }

 private:
  static int host() { return omp_get_initial_device(); }
  void copy(double* to, double* from, int to_device, int from_device) const {
    if (omp_target_memcpy(to, from, count_ * sizeof(double), 0, 0, to_device, from_device) != 0) {
      std::puts("omp_target_memcpy failed");
      std::exit(1);
    }
  }

  double* at_;
  std::size_t count_;
};
struct upload {
  device_memory operator()(std::vector<double> const& numbers) const {
    return device_memory(numbers);
  }
};

/// Writes the numbers of row i to out[i], out[count + i] and so on; returns how many rows the host computed itself.
template <class Pass, class Columns>
int run_on_device(Pass const& pass, Columns const& batch, std::size_t count, double* out) {
  int by_host = 0;
#pragma omp target teams distribute parallel for firstprivate(pass, batch) is_device_ptr(out) \
    map(tofrom : by_host) reduction(+ : by_host)
  for (std::size_t i = 0; i < count; ++i) {
    auto const numbers =
        prefer::apply_formula(pass, prefer::record_from<double>(batch, i, number_at{}),
                              prefer::weight_from<double>(batch, i, number_at{}));
    for (std::size_t n = 0; n < numbers.size(); ++n) out[n * count + i] = numbers[n];
    by_host += omp_is_initial_device();
  }
  return by_host;
}

struct outcome {
  std::size_t losses = 0;
  std::size_t wrong = 0;
  int rows_by_host = 0;
};

/// To rounding of terms of some hundred nats; `floor` as large as what the numbers are differences of.
bool near(double a, double b, double floor) {
  if (std::isnan(a) && std::isnan(b)) return true;
  return std::fabs(a - b) <= 1e-11 * std::fmax(floor, std::fmax(std::fabs(a), std::fabs(b)));
}

template <prefer::PairLoss L>
void compare(L const& loss, outcome& all) {
  using batch_of =
      prefer::testing::sample_columns<prefer::basic_pair_columns, device_numbers, upload>;
  constexpr std::size_t n = batch_of::examples;
  batch_of const batch(upload{}, prefer::reads(loss));
  prefer::loss_memory<L> memory{};
  auto const state = prefer::prepare(loss, batch.here, memory);
  std::vector<double> value(n), chosen(n), rejected(n);
  (void)evaluate_into(loss, batch.here,
                      prefer::pair_results{.value = value, .chosen = chosen, .rejected = rejected},
                      state);

  device_memory const out(n * prefer::detail::pair_outputs);
  all.rows_by_host +=
      run_on_device(prefer::detail::pair_pass<L>{loss, state, 1.0 / n}, batch.there, n, out.data());
  std::vector<double> const got = out.to_host();
  bool same = true;
  for (std::size_t i = 0; i < n; ++i) {
    same = same && near(got[i], value[i], 1.0) && near(got[n + i], chosen[i], 1e-2) &&
           near(got[2 * n + i], rejected[i], 1e-2);
  }
  ++all.losses;
  if (same) return;
  ++all.wrong;
  std::printf("%s is not on the device what it is on the host\n", L::name);
}

template <class... L>
outcome compare_all(L const&... losses) {
  outcome all;
  (compare(losses, all), ...);
  return all;
}

}  // namespace

int main() {
  outcome const all =
      compare_all(prefer::dpo{}, prefer::ipo{}, prefer::hinge{}, prefer::simpo{}, prefer::orpo{},
                  prefer::exo_pair{}, prefer::kto_pair{}, prefer::odpo{}, prefer::rebel{});
  std::printf("%zu losses on one of %d devices; %d rows by the host; %zu losses differ\n",
              all.losses, omp_get_num_devices(), all.rows_by_host, all.wrong);
  return all.wrong == 0 && all.rows_by_host == 0 ? 0 : 1;
}
