// SPDX-License-Identifier: MIT
//
// One small file per public form of ratings, in tests/data/ratings_forms: each is read without a word from the user.
#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

#include <prefer/data/ratings.hpp>

#include "error_of.hpp"

namespace data = prefer::data;

namespace {

struct file_read {
  data::ratings_form form;
  std::vector<data::rating> rows;
};

file_read read_form(std::string const& name, data::ratings_reading const& reading = {}) {
  data::place const at{"data::ratings",
                       std::string(PREFER_SOURCE_DIR "/tests/data/ratings_forms/") + name, 0};
  data::rating_reader reader(std::make_unique<data::file_bytes>(at), at, reading);
  file_read out{reader.form(), {}};
  for (data::rating row; reader.next(row);) out.rows.push_back(row);
  return out;
}

data::ratings_form form_in(std::string const& text, data::ratings_reading const& reading = {}) {
  return data::rating_reader(std::make_unique<data::text_bytes>(text), {"data::ratings", "f", 0},
                             reading)
      .form();
}

std::string error_with(std::string const& text, data::ratings_reading const& reading) {
  return error_in(data::ratings_in(text, "f", reading));
}

bool is(data::rating const& row, std::string const& user, std::string const& item, double value,
        double timestamp) {
  return row.user == user && row.item == item && row.value == value && row.timestamp == timestamp;
}

}  // namespace

TEST_CASE("ratings: the forms of MovieLens", "[data][ratings]") {
  auto const old = read_form("movielens_100k.data");
  CHECK(old.form.sentence() ==
        "separated by tabs, no header, columns user=1 item=2 rating=3 timestamp=4, ratings from 1 "
        "to 5 (as MovieLens 100k)");
  REQUIRE(old.rows.size() == 3);
  CHECK(is(old.rows[2], "22", "377", 1, 878887116));
  CHECK(old.rows[2].line == 3);

  auto const million = read_form("movielens_1m.dat");
  CHECK(million.form.name == "MovieLens 1M");
  CHECK(million.form.separator == "::");
  REQUIRE(million.rows.size() == 3);
  CHECK(is(million.rows[0], "1", "1193", 5, 978300760));

  auto const latest = read_form("movielens_latest.csv");  // lines end in CR LF
  CHECK(latest.form.sentence() ==
        "separated by ,, a header, columns user=userId item=movieId rating=rating "
        "timestamp=timestamp, ratings from 0.5 to 5 (as MovieLens latest)");
  REQUIRE(latest.rows.size() == 3);
  CHECK(is(latest.rows[1], "1", "3", 0.5, 964981247));
}

TEST_CASE("ratings: Book-Crossing is in quotes and Latin-1, and its 0 is no rating",
          "[data][ratings]") {
  auto const books = read_form("book_crossing.csv");
  CHECK(books.form.sentence() ==
        "separated by ;, a header, columns user=User-ID item=ISBN rating=Book-Rating, without "
        "times: the order of lines is time, ratings from 0 to 10, 0 is no rating (as "
        "Book-Crossing)");
  REQUIRE(books.rows.size() == 3);
  CHECK(books.rows[0].value == 0);
  CHECK_FALSE(books.rows[0].is_opinion);
  CHECK(books.rows[1].is_opinion);
  CHECK(is(books.rows[2], "276727", "M\xC3\xBCnchen", 10, 0));
}

TEST_CASE("ratings: the forms of Amazon, in whose third the article stands first",
          "[data][ratings]") {
  for (char const* name : {"amazon_2014.csv", "amazon_2018.csv"}) {
    CAPTURE(name);
    auto const reviews = read_form(name);
    CHECK(reviews.form.name == "Amazon reviews");
    REQUIRE(reviews.rows.size() == 2);
    CHECK(is(reviews.rows[0], "A3AF8FFZAZYNE5", "B000FA64PA", 5, 1388275200));
  }
  auto const named = read_form("amazon_2023.csv");
  CHECK(named.form.name == "Amazon reviews");
  REQUIRE(named.rows.size() == 2);
  CHECK(is(named.rows[1], "AFKZENTNBQ7A7V7UXW5JJI6UGRYQ", "B00Z7PK9Q2", 1, 1588687728923));
}

TEST_CASE("ratings: RecBole's atomic files, with and without ratings", "[data][ratings]") {
  auto const rated = read_form("recbole.inter");
  CHECK(rated.form.sentence() ==
        "separated by tabs, a header, columns user=user_id:token item=item_id:token "
        "rating=rating:float timestamp=timestamp:float (as RecBole's atomic files)");
  REQUIRE(rated.rows.size() == 2);
  CHECK(is(rated.rows[1], "186", "i-9", 4.5, 891717742));

  auto const implicit = read_form("recbole_implicit.inter");
  CHECK(implicit.form.meaning == data::feedback::pairs);
  REQUIRE(implicit.rows.size() == 3);
  CHECK(is(implicit.rows[1], "u1", "b", 1, 11));
  CHECK_FALSE(implicit.rows[1].is_opinion);
}

TEST_CASE("ratings: counts and mere pairs are no opinions", "[data][ratings]") {
  auto const counts = read_form("lastfm_counts.dat");
  CHECK(counts.form.meaning == data::feedback::counts);
  REQUIRE(counts.rows.size() == 3);
  CHECK(is(counts.rows[0], "2", "51", 13883, 0));
  CHECK_FALSE(counts.rows[0].is_opinion);

  auto const pairs = read_form("pairs.csv");
  CHECK(pairs.form.sentence() ==
        "separated by ,, no header, columns user=1 item=2, without times: the order of lines is "
        "time, who met what without a rating");
  REQUIRE(pairs.rows.size() == 3);
  CHECK(is(pairs.rows[2], "u2", "a", 1, 0));
}

TEST_CASE("ratings: spaces and bars separate too, and quotes hide them", "[data][ratings]") {
  auto const spaces = read_form("spaces.txt");
  REQUIRE(spaces.rows.size() == 3);
  CHECK(is(spaces.rows[1], "u1", "b", 3, 0));

  auto const bars = read_form("bars_quoted.csv");  // behind a byte order mark
  REQUIRE(bars.rows.size() == 2);
  CHECK(is(bars.rows[0], "u1", "a \"quoted\" | bar", 5, 0));
  CHECK(form_in("\"a;b\",c,5\n").separator == ",");
  CHECK(form_in("ns::1\tx\t5\n").separator == "\t");
}

TEST_CASE("ratings: a large third number is a time", "[data][ratings]") {
  CHECK(form_in("u\ti\t881250949\n").sentence() ==
        "separated by tabs, no header, columns user=1 item=2 timestamp=3, who met what without a "
        "rating");
  auto const form = form_in("u,i,881250949,4\n");
  CHECK(form.place[2] == 3);
  CHECK(form.place[3] == 2);
}

TEST_CASE("ratings: what is given is not detected", "[data][ratings]") {
  // Columns by place, the third passed over; then by the header's names.
  auto const placed =
      form_in("i,u,x,4\n", {.separator = ",", .columns = {"item", "user", "-", "rating"}});
  CHECK(placed.place[0] == 1);
  CHECK(placed.place[1] == 0);
  CHECK(placed.place[2] == 3);
  CHECK_FALSE(placed.header);
  auto const named = form_in("reader,book,liking\nu,i,4\n",
                             {.columns = {"user=reader", "item=book", "rating=liking"}});
  CHECK(named.header);
  CHECK(named.place[2] == 2);
  CHECK(form_in("user,item,rating\n", {.header = true}).header);
  CHECK(form_in("u,i,4\n", {.scale = data::rating_scale{0, 100}}).scale->high == 100);
  CHECK(form_in("u,i,4\n", {.meaning = data::feedback::counts}).meaning == data::feedback::counts);

  CHECK(error_with("u,i\n", {.meaning = data::feedback::counts}) ==
        "data::ratings: f:1: no column is a count; expected one, or feedback that is mere pairs");
  CHECK(error_with("a,b,c\nu,i,j\n", {.columns = {"user=a", "item=b", "item=c"}}) ==
        "data::ratings: f:1: column \"item=c\" was given twice");
  CHECK(error_with("u,i,4\n", {.columns = {"user", "rating"}}) ==
        "data::ratings: f:1: the columns that were given lack user or item");
  CHECK(error_with("u,i\n", {.columns = {"user", "item", "rating"}}) ==
        "data::ratings: f:1: found 2 cells; expected 3 as the columns that were given");
  CHECK(error_with("u,i\n", {.columns = {"user=reader", "item=i"}}) ==
        "data::ratings: f:1: column \"reader\" is missing in the header");
  CHECK_THAT(error_with("u,i\n", {.columns = {"user", "thing"}}),
             Catch::Contains("found column \"thing\"") && Catch::Contains("expected user, item"));
  CHECK_THAT(error_with("u,i,4\n", {.separator = ";"}), Catch::Contains("separated by \";\""));
}

TEST_CASE("ratings: outside the scale is refused, with place, found and expected",
          "[data][ratings]") {
  CHECK(
      error_with("1::2::5::978300760\n1::3::6::978300760\n", {}) ==
      "data::ratings: f:2: column \"rating\": found \"6\"; expected a rating from 0.5 to 5, as in "
      "MovieLens 1M");
  CHECK(error_with("u,i,7\nu,j,-1\n", {.scale = data::rating_scale{0, 10}}) ==
        "data::ratings: f:2: column \"rating\": found \"-1\"; expected a rating from 0 to 10");
  CHECK(error_with("user,item,count\nu,i,0\n", {}) ==
        "data::ratings: f:2: column \"count\": found \"0\"; expected a count greater than 0");
}

TEST_CASE("ratings: Latin-1 is read where it is said, and refused elsewhere", "[data][ratings]") {
  std::string const text = "user,item,rating\nJos\xE9,i,5\n";
  CHECK(error_with(text, {}) ==
        "data::ratings: f:2: byte 4 of the line is not valid UTF-8; if it is Latin-1, say so");
  auto const rows = data::ratings_in(text, "f", {.encoding = data::text_encoding::latin1});
  CHECK((*rows.begin()).user == "Jos\xC3\xA9");
}

TEST_CASE("ratings: quotes that do not end, or end too early, are named", "[data][ratings]") {
  CHECK(error_with("u,i,5\n\"v,i,5\n", {}) ==
        "data::ratings: f:2: a quote does not end on its line: \"\"v,i,5\"");
  CHECK(error_with("u,i,5\n\"v\"w,i,5\n", {}) ==
        "data::ratings: f:2: found \"w,i,5\" behind a cell in quotes; expected \",\" or the end of "
        "the line");
}

TEST_CASE("ratings: a header without a user or an item is refused", "[data][ratings]") {
  CHECK(error_with("user_id\trating\n1\t2\n", {}) ==
        "data::ratings: f:1: column \"item_id\" is missing in the header; found a name for the "
        "other; the columns may be given");
  CHECK_THAT(error_with("reader,book,liking\nu,i,4\n", {}),
             Catch::Contains("found \"reader,book,liking\"; expected columns user, item"));
}
