// SPDX-License-Identifier: MIT

// DPO with both coefficients over the arrays of each library that has an adapter, beside the same formulas written in that
// library. Float, one thread, memory of the library's own; only what both need is allocated before.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <benchmark/benchmark.h>

#if __has_include(<Eigen/Core>)
#include <prefer/adapters/eigen.hpp>
#define WITH_EIGEN 1
#endif
#if __has_include(<armadillo>)
#define ARMA_WARN_LEVEL 0
#include <prefer/adapters/armadillo.hpp>
#define WITH_ARMADILLO 1
#endif
#if __has_include(<xtensor/xtensor.hpp>)
#include <xtensor/xmath.hpp>
#include <xtensor/xtensor.hpp>

#include <prefer/adapters/xtensor.hpp>
#define WITH_XTENSOR 1
#endif

#include <prefer/batch/strided.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/objective/evaluate.hpp>

namespace {

constexpr float beta = 0.1f;

/// Log-probabilities of about -60 nats, as sequence sums are.
template <class Array>
void fill(Array& numbers, std::uint64_t seed) {
  std::uint64_t state = 88172645463325252u + seed;
  for (std::size_t i = 0; i < static_cast<std::size_t>(numbers.size()); ++i) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    using element = std::remove_cvref_t<decltype(numbers[i])>;
    numbers[i] = static_cast<element>(-60.0f - static_cast<float>(state >> 40) * 2e-6f);
  }
}

/// Four columns and two results of one library. `Make(n)` makes an array of n numbers.
template <class Array>
struct arrays {
  template <class Make>
  arrays(std::size_t n, Make const& make)
      : policy_chosen(make(n)),
        policy_rejected(make(n)),
        reference_chosen(make(n)),
        reference_rejected(make(n)),
        chosen(make(n)),
        rejected(make(n)),
        z(make(n)) {
    fill(policy_chosen, 1);
    fill(policy_rejected, 2);
    fill(reference_chosen, 3);
    fill(reference_rejected, 4);
  }
  Array policy_chosen, policy_rejected, reference_chosen, reference_rejected, chosen, rejected, z;
};

void report(benchmark::State& state, std::size_t n) {
  state.counters["ns_per_pair"] = benchmark::Counter(
      static_cast<double>(n) * 1e-9,
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

template <class Array, class Make>
void ours(benchmark::State& state, Make const& make) {
  auto const n = static_cast<std::size_t>(state.range(0));
  arrays<Array> data(n, make);
  for (auto _ : state) {
    benchmark::DoNotOptimize(prefer::evaluate_into(
        prefer::dpo{.beta = 0.1},
        prefer::pair_columns{.policy = {data.policy_chosen, data.policy_rejected},
                             .reference = {data.reference_chosen, data.reference_rejected}},
        prefer::pair_results{.chosen = data.chosen, .rejected = data.rejected}));
    benchmark::ClobberMemory();
  }
  report(state, n);
}

/// `formula(data)` writes the coefficients and returns the mean loss.
template <class Array, class Make, class Formula>
void theirs(benchmark::State& state, Make const& make, Formula const& formula) {
  auto const n = static_cast<std::size_t>(state.range(0));
  arrays<Array> data(n, make);
  for (auto _ : state) {
    benchmark::DoNotOptimize(formula(data));
    benchmark::ClobberMemory();
  }
  report(state, n);
}

template <class T>
auto const make_vector = [](std::size_t n) { return std::vector<T>(n); };

void prefer_memory(benchmark::State& s) { ours<std::vector<float>>(s, make_vector<float>); }
void prefer_bfloat16(benchmark::State& s) {
  ours<std::vector<prefer::bfloat16>>(s, make_vector<prefer::bfloat16>);
}
void prefer_half(benchmark::State& s) {
  ours<std::vector<prefer::half>>(s, make_vector<prefer::half>);
}

/// Every second number of an array, which takes an array's place.
struct every_second {
  explicit every_second(std::size_t n) : all(2 * n) {}
  [[nodiscard]] std::size_t size() const { return all.size() / 2; }
  float& operator[](std::size_t i) { return all[2 * i]; }
  std::vector<float> all;
};

}  // namespace

template <>
struct prefer::column_traits<every_second> {
  static strided<float const> numbers(every_second const& of) {
    return {of.all.data(), of.size(), 2};
  }
  static strided<float> numbers(every_second& of) { return {of.all.data(), of.size(), 2}; }
};

namespace {

void prefer_strided(benchmark::State& s) {
  ours<every_second>(s, [](std::size_t n) { return every_second(n); });
}
void loop_memory(benchmark::State& s) {
  theirs<std::vector<float>>(s, make_vector<float>, [](auto& d) {
    std::size_t const n = d.z.size();
    float const scale = beta / static_cast<float>(n);
    double loss = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      float const z = beta * ((d.policy_chosen[i] - d.reference_chosen[i]) -
                              (d.policy_rejected[i] - d.reference_rejected[i]));
      loss += static_cast<double>(std::max(-z, 0.0f) + std::log1p(std::exp(-std::fabs(z))));
      d.chosen[i] = -scale / (1.0f + std::exp(z));
      d.rejected[i] = -d.chosen[i];
    }
    return loss / static_cast<double>(n);
  });
}
BENCHMARK(prefer_memory)->Name("memory/ours")->ArgName("pairs")->Arg(1000)->Arg(1000000);
BENCHMARK(loop_memory)->Name("memory/theirs")->ArgName("pairs")->Arg(1000)->Arg(1000000);
BENCHMARK(prefer_strided)->Name("strided/ours")->ArgName("pairs")->Arg(1000)->Arg(1000000);
BENCHMARK(prefer_bfloat16)->Name("bfloat16/ours")->ArgName("pairs")->Arg(1000)->Arg(1000000);
BENCHMARK(prefer_half)->Name("half/ours")->ArgName("pairs")->Arg(1000)->Arg(1000000);

#if defined(WITH_EIGEN)
auto const make_eigen = [](std::size_t n) { return Eigen::ArrayXf(static_cast<Eigen::Index>(n)); };

void prefer_eigen(benchmark::State& s) { ours<Eigen::ArrayXf>(s, make_eigen); }
void eigen_alone(benchmark::State& s) {
  theirs<Eigen::ArrayXf>(s, make_eigen, [](auto& d) {
    float const scale = beta / static_cast<float>(d.z.size());
    d.z = beta *
          ((d.policy_chosen - d.reference_chosen) - (d.policy_rejected - d.reference_rejected));
    d.chosen = -scale / (1.0f + d.z.exp());
    d.rejected = -d.chosen;
    return ((-d.z).max(0.0f) + (-d.z.abs()).exp().log1p()).mean();
  });
}
BENCHMARK(prefer_eigen)->Name("eigen/ours")->ArgName("pairs")->Arg(1000)->Arg(1000000);
BENCHMARK(eigen_alone)->Name("eigen/theirs")->ArgName("pairs")->Arg(1000)->Arg(1000000);
#endif

#if defined(WITH_ARMADILLO)
auto const make_armadillo = [](std::size_t n) { return arma::fvec(n); };

void prefer_armadillo(benchmark::State& s) { ours<arma::fvec>(s, make_armadillo); }
void armadillo_alone(benchmark::State& s) {
  theirs<arma::fvec>(s, make_armadillo, [](auto& d) {
    float const scale = beta / static_cast<float>(d.z.size());
    d.z = beta *
          ((d.policy_chosen - d.reference_chosen) - (d.policy_rejected - d.reference_rejected));
    d.chosen = -scale / (1.0f + arma::exp(d.z));
    d.rejected = -d.chosen;
    // max(-z, 0) as (|z| - z) / 2, which is an expression too.
    return arma::accu(0.5f * (arma::abs(d.z) - d.z) + arma::log1p(arma::exp(-arma::abs(d.z)))) /
           static_cast<float>(d.z.size());
  });
}
BENCHMARK(prefer_armadillo)->Name("armadillo/ours")->ArgName("pairs")->Arg(1000)->Arg(1000000);
BENCHMARK(armadillo_alone)->Name("armadillo/theirs")->ArgName("pairs")->Arg(1000)->Arg(1000000);
#endif

#if defined(WITH_XTENSOR)
using xt_vector = xt::xtensor<float, 1>;
auto const make_xtensor = [](std::size_t n) { return xt_vector::from_shape({n}); };

void prefer_xtensor(benchmark::State& s) { ours<xt_vector>(s, make_xtensor); }
void xtensor_alone(benchmark::State& s) {
  theirs<xt_vector>(s, make_xtensor, [](auto& d) {
    float const scale = beta / static_cast<float>(d.z.size());
    d.z = beta *
          ((d.policy_chosen - d.reference_chosen) - (d.policy_rejected - d.reference_rejected));
    d.chosen = -scale / (1.0f + xt::exp(d.z));
    d.rejected = -d.chosen;
    return xt::mean(xt::maximum(-d.z, 0.0f) + xt::log1p(xt::exp(-xt::abs(d.z))))();
  });
}
BENCHMARK(prefer_xtensor)->Name("xtensor/ours")->ArgName("pairs")->Arg(1000)->Arg(1000000);
BENCHMARK(xtensor_alone)->Name("xtensor/theirs")->ArgName("pairs")->Arg(1000)->Arg(1000000);
#endif

}  // namespace
